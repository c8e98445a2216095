"""``CLASS/video`` or ``SUBSET/CLASS/video``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from ....base.errors import DatasetError
from ..rows import Found, Row, is_subset, subset_name
from ..video_files import is_image_folder, is_video_name, visible


def read_folder(root: Path) -> Found:
    """Read folders of classes.

    A folder named for a class holds its videos, in folders of any depth; a folder of numbered
    images is one video. Where all folders of ``root`` are called train, val or test (or training,
    validation, valid, testing), the classes are looked for inside them. Hidden files and files
    that are no videos by their name are left out; videos beside the folders too, with a warning. A
    class without videos stays in the list.
    """
    if not _folders(root):
        raise DatasetError(
            f"{root}: this folder holds no folders; layout 'folder' takes CLASS/video.mp4 or "
            "train/CLASS/video.mp4"
        )
    subsets = subset_folders(root)
    parents = subsets or [root]
    rows = [
        row
        for parent in parents
        for row in _classes(parent, subset_name(parent.name) if subsets else None)
    ]
    names = {path.name for parent in parents for path in _folders(parent)}
    if not rows:
        raise DatasetError(
            f"{root}: no video lies in the folders of this folder; layout 'folder' takes "
            "CLASS/video.mp4 or train/CLASS/video.mp4"
        )
    outside = sum(is_video_name(path) and not path.is_dir() for path in visible(root))
    if outside:
        warnings.warn(
            f"{root}: {outside} video(s) lie in no folder of a class and are left out", stacklevel=2
        )
    return Found(rows, str(root), empty=tuple(names))


def subset_folders(root: Path) -> list[Path]:
    """Return the folders of ``root`` that are subsets with classes inside; none where classes are.

    Raises DatasetError where some are subsets and others hold videos: which they are is unclear.
    """
    folders = _folders(root)
    subsets = [
        folder
        for folder in folders
        if is_subset(folder.name) and not _has_videos(folder) and _folders(folder)
    ]
    others = [folder for folder in folders if folder not in subsets and _any_video([folder])]
    if subsets and others:
        raise DatasetError(
            f"{root}: the folder {subsets[0].name!r} looks like a subset that holds classes, "
            f"{others[0].name!r} like a class; keep only subsets, or only classes, in one folder"
        )
    return subsets


def has_videos_in_folders(root: Path) -> bool:
    """Return whether there is any video where this layout looks for them."""
    return _any_video([root] if subset_folders(root) else _folders(root))


def _classes(root: Path, subset: str | None) -> Iterator[Row]:
    for folder in _folders(root):
        if is_image_folder(folder):
            raise DatasetError(
                f"{folder}: images lie directly in the folder of a class; put those of each video "
                "into a folder of their own inside it"
            )
        for path in _videos(folder, seen=set()):
            yield Row(path, folder.name, str(folder), subset=subset)


def _videos(folder: Path, *, seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return  # a link back to a folder above
    for path in visible(folder):
        if is_image_folder(path):
            yield path
        elif path.is_dir():
            yield from _videos(path, seen={*seen, real})
        elif is_video_name(path):
            yield path  # a link that leads nowhere too: it is reported as missing


def _any_video(folders: list[Path]) -> bool:
    return any(True for folder in folders for _ in _videos(folder, seen=set()))


def _has_videos(folder: Path) -> bool:
    # Folders of images directly in here make it a class, as video files do.
    return any(
        is_image_folder(path) if path.is_dir() else is_video_name(path) for path in visible(folder)
    )


def _folders(root: Path) -> list[Path]:
    return [path for path in visible(root) if path.is_dir()]
