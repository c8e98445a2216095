"""What is on disk -> a list of labelled videos."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

from .assemble import Missing, assemble
from .items import VideoList
from .layouts.folder import read_folder

Layout = Literal["folder", "csv", "json", "jsonl", "ucf101", "hmdb51", "kinetics", "activitynet"]


def read_dataset(
    path: str | PathLike[str],
    *,
    layout: Layout | None = None,
    subset: str | None = None,
    split: int = 1,
    videos: str | PathLike[str] | None = None,
    classes: Sequence[str] | str | Path | None = None,
    missing: Missing = "error",
) -> VideoList:
    """Return the labelled videos of a dataset."""
    return assemble(read_folder(Path(path)), subset=subset, classes=classes, missing=missing)
