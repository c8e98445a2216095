"""Videos of three classes that anything can tell apart by colour, and what was kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_video import Image, write_video

from c3dhub.extraction.feature_extractor import extract
from c3dhub.learning.datasets import VideoItem, VideoList
from c3dhub.learning.probing import frozen_features as frozen

COLOURS = {"blue": (0.2, 0.3, 1.0), "green": (0.3, 1.0, 0.2), "red": (1.0, 0.2, 0.3)}


def coloured_video(path: Path, colour: str, *, seed: int, frames: int = 16) -> Path:
    """Write noise in one colour that moves to the side; each seed is another video."""
    noise = np.random.default_rng(seed).integers(90, 220, (12, 16, 1)).repeat(4, 0).repeat(4, 1)
    picture: Image = (noise * np.array(COLOURS[colour])).astype(np.uint8)
    return write_video(path, [np.roll(picture, 2 * shift, axis=1) for shift in range(frames)])


def coloured_folder(root: Path, *, each: int = 5, scenes: int = 3) -> Path:
    """Write ``COLOUR/sceneS_N.mp4``, ``each`` videos of a class, going around the scenes."""
    for number, colour in enumerate(COLOURS):
        (root / colour).mkdir(parents=True)
        for index in range(each):
            name = f"scene{index % scenes}_{index}.mp4"
            coloured_video(root / colour / name, colour, seed=100 * number + index)
    return root


def coloured_list(root: Path, *, each: int = 5, scenes: int = 3) -> VideoList:
    """Return the list of what :func:`coloured_folder` wrote, without groups."""
    items = [
        VideoItem(root / colour / f"scene{index % scenes}_{index}.mp4", label)
        for label, colour in enumerate(COLOURS)
        for index in range(each)
    ]
    return VideoList(tuple(items), tuple(COLOURS), "colours")


def six_videos(folder: Path) -> list[Path]:
    """Write two videos of each colour, of 16 to 21 frames: colour ``i % 3`` for the ``i``-th."""
    return [
        coloured_video(folder / f"{i}.mp4", list(COLOURS)[i % 3], seed=i, frames=16 + i)
        for i in range(6)
    ]


def computed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that every video is put into when its features are really computed."""
    seen: list[Any] = []

    def noted(network: Any, videos: list[Any], *options: Any, **more: Any) -> Any:
        seen.extend(videos)
        return extract(network, videos, *options, **more)

    monkeypatch.setattr(frozen, "extract", noted)
    return seen


def stored(home: Path) -> list[Path]:
    return sorted((home / "features").rglob("*.safetensors"))
