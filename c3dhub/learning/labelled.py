"""What probing, evaluation and training do alike: labelled videos, tables of what came out."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..base.files import atomic_path
from ..extraction.pipeline import Part
from .datasets import BrokenVideo, VideoItem, VideoList


def named(videos: VideoList) -> str:
    """Return what the list is called in messages."""
    return videos.origin or "the list of videos"


def held_back(subsets: Sequence[str]) -> str | None:
    """Return the subset to test with, of those that a dataset has: nothing was trained on it."""
    return next((name for name in ("test", "val") if name in subsets), None)


def parts_of(videos: VideoList) -> list[Part]:
    """Return what is to be read of each video."""
    return [Part(item.path, item.start, item.end) for item in videos.items]


def broken_video(item: VideoItem, error: Exception, position: int) -> BrokenVideo:
    """Return what is told of a video that cannot be read."""
    return BrokenVideo(str(item.path), str(getattr(error, "reason", error)), position)


def reasons(videos: Iterable[BrokenVideo]) -> list[dict[str, str]]:
    """Return path and reason of each as plain values, ready for JSON."""
    return [{"path": video.path, "reason": video.reason} for video in videos]


def write_csv(path: str | Path, rows: Iterable[Sequence[Any]]) -> Path:
    """Write rows as CSV in UTF-8, the file whole or not at all; return its path. Raises OSError."""
    with atomic_path(path) as target, target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return Path(path)
