"""A video as a stream of frames with timestamps, whatever it comes from.

:func:`open_video` takes files, folders of images, memory, URLs and arrays; the :class:`Video` that
it gives yields one :class:`Frame` after the other and never holds more than a few of them.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, Union, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ..base.checks import check_whole
from ..base.choices import Decode, Errors
from ..base.errors import VideoError
from . import arrays
from . import source as video_source
from .decoder import open_file
from .images import find_images, open_folder
from .orientation import Image
from .pictures import Limits, Pictures
from .skipping import Needed
from .source import ByteSource
from .timestamps import StreamTime, with_seconds

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Decode", "Errors", "Frame", "Video", "VideoSource", "open_video"]

# Union, because "Tensor" is a name for type checkers alone: arrays are read without torch.
VideoSource: TypeAlias = Union[
    "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | NDArray[np.uint8]",
    "Tensor",
]

DEFAULT_MAX_PIXELS = 64_000_000
DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Parameters
    ----------
    index: 0, 1, 2, ... in the order of presentation.
    seconds: when it is shown, by the video's own clock: a stream that starts at 8.333 s says so.
        Never less than the frame before.
    end_seconds: when the next frame is shown; for the last one ``seconds`` plus its duration.

    Pixels are converted by :meth:`to_rgb` alone, so that a frame that nobody looks at costs nothing
    but its decoding. A frame stays valid after its video is closed.
    """

    index: int
    seconds: float
    end_seconds: float
    _read: Callable[[], Image] = field(repr=False, compare=False)

    def to_rgb(self) -> Image:
        """Return uint8 (H, W, 3), upright, C-contiguous. Raises VideoError where that fails."""
        return self._read()


class Video:
    """An open video: iterate over it once for its frames, and close it or use ``with``.

    Attributes
    ----------
    name: the video as the caller named it; ``"<bytes>"``, ``"<array>"`` where there is no name.
    size_bytes: of the file, of all images or of the array; None where unknown.
    frame_rate: frames per second, as far as the header tells.
    expected_frames: what the header promises, to be used for progress alone: headers are wrong.
    warnings: everything that was repaired, ignored or broke off; grows during the iteration.
    """

    def __init__(
        self,
        name: str,
        pictures: Pictures,
        *,
        size_bytes: int | None,
        sha256: Callable[[], str | None],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.size_bytes = size_bytes
        self.frame_rate = pictures.frame_rate
        self.expected_frames = pictures.expected_frames
        self.warnings = pictures.warnings
        self._pictures = pictures
        self._sha256 = sha256
        # Also when the Video is forgotten unclosed: a spooled copy is a file of ours.
        self._close_source = weakref.finalize(self, close)
        self._lock = threading.Lock()
        self._started = self._closed = False

    def __repr__(self) -> str:
        rate = f"{self.frame_rate:g} fps" if self.frame_rate else "unknown rate"
        frames = "?" if self.expected_frames is None else f"about {self.expected_frames}"
        return f"Video({self.name!r}, {frames} frames, {rate})"

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, once. Raises VideoError where none can be decoded."""
        return self.frames()

    def frames(self, *, needed: Needed | None = None) -> Iterator[Frame]:
        """Yield all frames, once, and decode only those that are needed, where that is possible.

        ``needed`` is called with (seconds, end_seconds) of each frame in order, some time before
        the frame is given, and returns whether its pixels will be looked at; None needs them all.
        Indices, times and pixels do not depend on it, but ``to_rgb`` of any other frame may take
        as long as reading the video up to there, and fails once the video is closed; and damage
        among those is not noticed. With ``errors="strict"`` everything is decoded.
        """
        if self._started or self._closed:
            state = "was read already" if self._started else "is closed"
            raise VideoError(self.name, f"this Video {state}; call open_video again")
        self._started = True
        return self._frames(needed)

    def _frames(self, needed: Needed | None) -> Iterator[Frame]:
        pictures = self._pictures.each(needed)
        timed = with_seconds(pictures, self._pictures.time, warn=self.warnings.append)
        try:
            for index in itertools.count():
                with self._lock:  # close() in another thread waits for the frame under way
                    step = None if self._closed else next(timed, None)
                if step is None:
                    return
                read, seconds, end_seconds = step
                yield Frame(index, seconds, end_seconds, read)
        finally:
            # The source stays open: sha256() may still be reading it in another thread.
            with self._lock:
                self._pictures.close()

    def sha256(self) -> str | None:
        """Return the hash of what the video was read from; None where that is gone.

        A file's or file object's bytes; for arrays shape and pixels; for folders the names, sizes
        and contents of the images. Reads in pieces and may run in another thread than the frames.
        """
        return self._sha256()

    def close(self) -> None:
        """Give back decoder and files. May be called twice, and from another thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._pictures.close()
                self._close_source()


def open_video(
    video: VideoSource,
    *,
    errors: Errors = "raise",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    threads: int = 0,
    assumed_fps: float = DEFAULT_FPS,
    decode: Decode = "exact",
    short_side: int = 112,
) -> Video:
    """Open a video for reading its frames.

    Parameters
    ----------
    video: path of a file or of a folder of numbered images; bytes; binary file object; fsspec URL
        (``s3://``, ``https://``, needs ``c3dhub[remote]``); uint8 array or tensor (T, H, W, 3).
    errors: ``"raise"``: a video that gives no frame is an error, one that breaks off gives what
        came before and says so in ``warnings``. ``"strict"``: any error in decoding is one.
    max_pixels: largest frame, width times height, against files that claim an absurd size.
    threads: decoder threads, 0 for one per core. The frames do not depend on it.
    assumed_fps: frames per second of arrays and folders, which have no clock.
    decode: ``"fast"`` reads H.264 without its deblocking filter, and averages very large frames
        (8 times ``short_side`` or more) over squares before the conversion to RGB. Decoding and
        scaling together then took 1.1 to 1.2 times less time at 320x240 and 480x360, 1.3 times
        less at 1080p. The error in frames scaled to 112 was 0.9 to 1.8 grey levels on average, at
        most 3.8 on average over one frame and 28 in one pixel. Where neither applies (other codecs,
        arrays, folders) it is ``"exact"``.
    short_side: pixels that the caller will scale frames to; ``"fast"`` keeps at least twice that.

    Raises
    ------
    VideoError: the video cannot be read. ValueError, TypeError: an argument is wrong.

    Example: ``with open_video("v.mp4") as video: times = [frame.seconds for frame in video]``
    """
    for name, value, words in (("errors", errors, Errors), ("decode", decode, Decode)):
        if value not in get_args(words):
            known = " or ".join(map(repr, get_args(words)))
            raise ValueError(f"{name} is {value!r}; it must be {known}")
    check_whole("max_pixels", max_pixels, least=1)
    check_whole("threads", threads, least=0)
    if not isinstance(assumed_fps, Real) or not 0 < assumed_fps < float("inf"):
        raise ValueError(f"assumed_fps is {assumed_fps!r}; it must be a number above 0")
    check_whole("short_side", short_side, least=1)
    limits = Limits(max_pixels, threads, errors, decode, short_side)
    time = StreamTime(rate=Fraction(assumed_fps).limit_denominator(10**6), rate_is_chosen=True)
    if arrays.is_array(video):
        return _from_array(video, time)
    if isinstance(video, (str, os.PathLike)):
        return _from_path(video, time, limits)
    if isinstance(video, (bytes, bytearray, memoryview)):
        return _from_source(video_source.from_bytes(video), limits)
    if hasattr(video, "read"):
        return _from_source(video_source.from_file(cast("BinaryIO", video)), limits)
    raise TypeError(
        f"video is a {type(video).__name__}; give a path, a URL, bytes, a binary file object, or a "
        "uint8 array or tensor of shape (T, H, W, 3)"
    )


def _from_path(video: str | os.PathLike[str], time: StreamTime, limits: Limits) -> Video:
    name = os.fspath(video)
    if not isinstance(name, str):
        raise TypeError(f"video is the bytes path {name!r}; give a str or a pathlib.Path")
    if "://" in name:
        return _from_source(video_source.from_url(name), limits)
    path = Path(name)
    if not video_source.is_folder(path):
        return _from_source(video_source.from_path(path, name=name), limits)
    images = find_images(path, name=name)
    pictures = open_folder(images, name=name, time=time, limits=limits)
    return Video(name, pictures, size_bytes=images.size_bytes, sha256=images.sha256)


def _from_source(source: ByteSource, limits: Limits) -> Video:
    try:
        pictures = open_file(source, limits=limits)
    except BaseException:
        source.close()
        raise
    return Video(
        source.name,
        pictures,
        size_bytes=source.size_bytes,
        sha256=source.sha256,
        close=source.close,
    )


def _from_array(array: Any, time: StreamTime) -> Video:
    pictures = arrays.open_array(array, time=time)
    return Video(
        arrays.name_of(array),
        pictures,
        size_bytes=arrays.size_of(array),
        sha256=functools.partial(arrays.sha256_of, array),
    )
