"""A folder of numbered images as a video: ``frame_1.jpg``, ``frame_2.jpg``, ``frame_10.jpg``."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import av

from ..base.errors import VideoError
from .orientation import UPRIGHT, from_exif
from .pictures import (
    DECODER_ERRORS,
    Limits,
    Picture,
    Pictures,
    end_of_pictures,
    reason,
    to_rgb,
)
from .timestamps import Stamp, StreamTime

# The first bytes of a file say what it is, whatever its name ends in.
_CODECS = (
    (b"\xff\xd8", "mjpeg"),
    (b"\x89PNG", "png"),
    (b"BM", "bmp"),
    (b"RIFF", "webp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"P6", "ppm"),
    (b"P5", "pgm"),
)
_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"])


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder that are frames, in natural order: 2 comes before 10."""

    folder: Path
    names: list[str]
    left_out: int

    @property
    def size_bytes(self) -> int | None:
        """Return the size of all images together; None where one has gone."""
        try:
            return sum((self.folder / name).stat().st_size for name in self.names)
        except OSError:
            return None

    def sha256(self) -> str | None:
        """Return a hash over names, sizes and contents; None where an image can't be read."""
        digest = hashlib.sha256()
        try:
            for name in self.names:
                data = (self.folder / name).read_bytes()
                digest.update(os.fsencode(name) + b"\0" + len(data).to_bytes(8, "big"))
                digest.update(data)
        except OSError:
            return None
        return digest.hexdigest()


def find_images(folder: Path, *, name: str) -> ImageFolder:
    """List the frames of a folder. Raises VideoError where it holds no numbered image.

    Files that are no images, hidden ones and those without a number are left out; gaps in the
    numbers do not matter.
    """
    try:
        files = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    except OSError as error:
        raise VideoError(name, f"the folder cannot be read: {reason(error)}") from error
    images = [file for file in files if _is_image(file)]
    numbered = sorted((file for file in images if _is_numbered(file)), key=_natural_order)
    if not numbered:
        found = f"{len(images)} images without a number" if images else "no images"
        raise VideoError(
            name,
            f"this folder holds {found}; give a video file, or a folder of numbered images such as "
            "frame_0001.jpg",
        )
    return ImageFolder(folder, numbered, len(images) - len(numbered))


def open_folder(images: ImageFolder, *, name: str, time: StreamTime, limits: Limits) -> Pictures:
    """Return the pictures of a folder, each decoded when its turn comes."""
    pictures = Pictures(
        time,
        lambda needed: _each(images, name, limits, pictures.warnings),
        frame_rate=float(time.rate) if time.rate else None,
        expected_frames=len(images.names),
    )
    if images.left_out:
        pictures.warnings.append(f"{images.left_out} image(s) without a number were left out")
    return pictures


def _each(images: ImageFolder, name: str, limits: Limits, warnings: list[str]) -> Iterator[Picture]:
    for index, file in enumerate(images.names):
        path = images.folder / file
        try:
            yield _decode(path, path.read_bytes(), limits)
        except DECODER_ERRORS as error:
            failure = OSError(f"{file}: {reason(error)}")
            failure.__cause__ = error
            warnings.append(end_of_pictures(name, index, failure, limits=limits))
            return


def _decode(path: Path, data: bytes, limits: Limits) -> Picture:
    # A decoder by itself takes a tenth of the time that opening a container for each image does.
    codec = next((codec for mark, codec in _CODECS if data.startswith(mark)), None)
    if codec is None:
        raise OSError("this is not an image of a known kind" if data else "the file is empty")
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_count = 1
    context.options = limits.codec_options()
    try:
        frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    except DECODER_ERRORS as error:
        limit = f"max_pixels={limits.max_pixels}"
        raise OSError(f"{reason(error)}; it is damaged or has more than {limit} pixels") from error
    if not frames:
        raise OSError("it holds no picture")
    frame = frames[0]
    limits.check(str(path), frame.width, frame.height)
    turn = from_exif(data, degrees=frame.rotation) or UPRIGHT
    return Stamp(), functools.partial(to_rgb, str(path), frame, turn)


def _is_image(name: str) -> bool:
    return not name.startswith(".") and PurePath(name).suffix.lower() in _SUFFIXES


def _is_numbered(name: str) -> bool:
    return re.search(r"[0-9]", PurePath(name).stem) is not None


def _natural_order(name: str) -> tuple[list[str | int], str]:
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name
