"""Which files are videos, where a named one is, and reading the text files that list them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ...base.errors import DatasetError, VideoError
from ...video.images import find_images

VIDEO_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("3g2", "3gp", "asf", "avi", "divx", "f4v", "flv", "gif", "h264", "h265", "ivf", "m2ts"),
        *("m4v", "mjpeg", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogg", "ogv", "rm"),
        *("rmvb", "ts", "vob", "webm", "wmv", "y4m"),
    )
)
# Tried first where a list names a video without saying which kind of file it is.
_USUAL_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov")


def read_text(path: Path) -> str:
    """Return the text of a list, UTF-8 with or without byte order mark.

    Raises DatasetError where it is not UTF-8 or holds nothing, OSError where it cannot be read.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DatasetError(
            f"{path}: line {line} is not UTF-8 text (byte {error.start} of the file); save the "
            "list as UTF-8"
        ) from error
    if not text.strip():
        raise DatasetError(f"{path}: the file is empty; it must list videos or classes")
    return text


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, line) for each line of a text file that holds anything, without its spaces."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def visible(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted by name, without hidden files and what unpacking left."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.name != "__MACOSX"
    ]


def is_video_name(path: Path) -> bool:
    """Return whether a file's name ends as one of a video does."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_image_folder(path: Path) -> bool:
    """Return whether this is a folder of numbered images, which counts as one video.

    A folder that holds videos too is one of videos; the images are thumbnails then.
    """
    try:
        if not path.is_dir() or any(map(is_video_name, visible(path))):
            return False
        find_images(path, name=str(path))
    except (VideoError, OSError, ValueError):  # a name that no file can have
        return False
    return True


def exists(path: Path) -> bool:
    """Return whether something is there; a name that no file can have is none."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a null byte
        return False


def locate(path: Path) -> Path | None:
    """Return where a listed video is: there, as another kind of file, or as a folder of images.

    Datasets are often converted after their lists were written: ``a.avi`` may now be ``a.mp4`` or
    a folder ``a``. None where there is nothing of that name.
    """
    if exists(path):
        return path
    if os.sep == "/" and "\\" in str(path):
        # A list that was written on Windows.
        found = locate(Path(str(path).replace("\\", "/")))
        if found is not None:
            return found
    stem = path.with_suffix("") if is_video_name(path) else path
    others = (stem.with_name(stem.name + suffix) for suffix in _USUAL_SUFFIXES)
    found = next((other for other in others if exists(other)), None)
    return stem if found is None and is_image_folder(stem) else found


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the names in a text file, one a line; numbers before them (``1 Archery``) are cut.

    Numbers count only where every line has one and they run on from 0 or 1.
    """
    lines = [line for _, line in read_lines(path)]
    numbered = [re.fullmatch(r"(\d+)[\s,]+(\S.*)", line) for line in lines]
    numbers = [int(match[1]) for match in numbered if match]
    if len(numbers) == len(lines) and numbers[0] in (0, 1):
        first = numbers[0]
        if numbers == list(range(first, first + len(lines))):
            return tuple(match[2] for match in numbered if match)
    return tuple(lines)
