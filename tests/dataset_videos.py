"""Labelled videos for tests: grey frames that tell their number, and datasets as they unpack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_video import write_video

from c3dhub.learning.datasets import VideoItem, VideoList
from c3dhub.registry.config import InputContract

CONTRACT = InputContract(255.0, (0.0,) * 3, (1.0,) * 3, "short_side", (16,), True, crop_size=16)
STEP = 5  # grey levels from frame to frame


def touch(folder: Path, *names: str) -> Path:
    """Make files that hold nothing: lists are read without looking into videos."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def named(videos: VideoList) -> list[tuple[str, str]]:
    """Return (file name, class) of every video."""
    return [(item.path.name, videos.classes[item.label]) for item in videos.items]


def grey(count: int, size: tuple[int, int] = (32, 24)) -> list[np.ndarray]:
    """Return frames whose number is their grey value over STEP."""
    width, height = size
    return [np.full((height, width, 3), STEP * i, np.uint8) for i in range(count)]


def numbers(clip: torch.Tensor) -> list[int]:
    """Read the frame numbers of a clip (T, H, W, 3) of grey frames."""
    return [round(float(value) / STEP) for value in clip.float().mean(dim=(1, 2, 3))]


def listed(*paths: Path, spans: Sequence[tuple[Any, Any]] = ()) -> VideoList:
    """Return a list in which every video has a class of its own."""
    ends = [*spans, *[(None, None)] * (len(paths) - len(spans))]
    items = tuple(
        VideoItem(path, i, start, end)
        for i, (path, (start, end)) in enumerate(zip(paths, ends, strict=True))
    )
    return VideoList(items, tuple(str(i) for i in range(len(paths))))


def truncated(path: Path) -> Path:
    """Write a video of which the last part is missing though the header promises it."""
    write_video(
        path,
        grey(40),
        options={"g": "4", "bf": "0"},
        container_options={"movflags": "faststart"},
    )
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + (len(data) - data.index(b"mdat")) * 2 // 3])
    return path


def some_videos(folder: Path) -> VideoList:
    """Return eleven videos of different lengths and shapes, one of them broken."""
    paths = [
        write_video(folder / f"{i}.mp4", 5 + 4 * i, size=(32 + 8 * (i % 3), 24)) for i in range(10)
    ]
    broken = folder / "broken.mp4"
    broken.write_bytes(b"nothing that is a video" * 50)
    return listed(*paths[:4], broken, *paths[4:])


def ucf101(root: Path) -> Path:
    """Lay out three classes of UCF-101 as its archives unpack."""
    lists = root / "ucfTrainTestlist"
    names = {"ApplyEyeMakeup": 1, "Hammering": 2, "HammerThrow": 3}
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("".join(f"{i} {n}\r\n" for n, i in names.items()))
    for split in (1, 2, 3):
        train: list[str] = []
        test: list[str] = []
        for name, number in names.items():
            files = [f"{name}/v_{name}_g{group:02d}_c01.avi" for group in range(1, 5)]
            touch(root / "UCF-101", *files)
            test.append(f"{files[split]}\r\n")
            train.extend(f"{f} {number}\r\n" for f in files if f != files[split])
        (lists / f"trainlist{split:02d}.txt").write_text("".join(train))
        (lists / f"testlist{split:02d}.txt").write_text("".join(test))
    return root


def hmdb51(root: Path) -> Path:
    """Lay out two classes of HMDB-51 as its archives unpack."""
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir(parents=True)
    for name in ("wave", "brush_hair"):
        files = [f"#20_{name}!_(x)_{i}[1]; a.avi" for i in range(4)]
        touch(root / "hmdb51_org" / name, *files)
        for split in (1, 2, 3):
            marks = [0, 1, 2, 1] if split == 1 else [1, 1, 1, 2]
            lines = [f"{file} {mark} \n" for file, mark in zip(files, marks, strict=True)]
            (lists / f"{name}_test_split{split}.txt").write_text("".join(lines))
    return root
