"""What files, folders of images and arrays have in common: pictures that wait to become RGB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import av

from ..base.choices import Decode, Errors
from ..base.errors import VideoError
from . import orientation
from .orientation import UPRIGHT, Image, Orientation
from .skipping import Needed
from .timestamps import Stamp, StreamTime

Picture = tuple[Stamp, Callable[[], Image]]

# Whatever goes wrong while a file is read; anything else is a bug and must be seen.
DECODER_ERRORS = (av.FFmpegError, OSError)

_MOST_PIXELS = 2**31 - 1


@dataclass
class Pictures:
    """An opened video before its frames are timed: what files, folders and arrays have in common.

    Parameters
    ----------
    time: what is known about time.
    each: gives (stamp, function that returns the upright uint8 (H, W, 3) picture) frame by frame;
        its argument tells which pictures are needed, None for all, and others may be left out.
    frame_rate, expected_frames: what the header says; None where it says nothing.
    warnings: grows while pictures are taken.
    close: gives everything back; may be called twice.
    """

    time: StreamTime
    each: Callable[[Needed | None], Iterator[Picture]]
    frame_rate: float | None = None
    expected_frames: int | None = None
    warnings: list[str] = field(default_factory=list)
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Limits:
    """How pictures are decoded: most pixels of a frame, decoder threads (0: as many as cores).

    ``short_side`` is what frames will be scaled to, so that ``decode="fast"`` leaves twice as much.
    """

    max_pixels: int
    threads: int
    errors: Errors
    decode: Decode = "exact"
    short_side: int = 112

    def check(self, name: str, width: int, height: int) -> None:
        """Raise VideoError for a frame with too many pixels."""
        if width * height > self.max_pixels:
            raise VideoError(
                name,
                f"a frame of {width}x{height} has {width * height} pixels; at most "
                f"max_pixels={self.max_pixels} are decoded, pass a larger max_pixels= if you trust "
                "the file",
            )

    def codec_options(self) -> dict[str, str]:
        """Return FFmpeg's options: it refuses what is far too large before it takes memory."""
        # FFmpeg pads frames before it counts, hence the surplus; check() is the exact rule.
        most = self.max_pixels + self.max_pixels // 8 + (1 << 16)
        return {"max_pixels": str(min(most, _MOST_PIXELS))}

    def reduction(self, width: int, height: int) -> int:
        """Return the whole number by which both sides are divided before the conversion to RGB.

        1 unless ``decode="fast"`` and the frame is at least 8 times as large as ``short_side``:
        only from a factor of 4 on was the reduction found to pay. Both sides must be multiples, so
        that the shape of the picture stays what it is.
        """
        if self.decode == "exact":
            return 1
        factors = range(min(width, height) // (2 * self.short_side), 3, -1)
        return next((k for k in factors if width % k == 0 and height % k == 0), 1)


def to_rgb(name: str, frame: av.VideoFrame, turn: Orientation, *, reduction: int = 1) -> Image:
    """Return uint8 (H, W, 3), upright, pixel for pixel what ``frame.to_ndarray(format="rgb24")``
    gives before turning; with ``reduction`` k of a frame averaged over squares of k by k."""
    smaller: dict[str, Any] = {}
    if reduction > 1:
        size = {"width": frame.width // reduction, "height": frame.height // reduction}
        smaller = {**size, "interpolation": "AREA"}
    try:
        # One thread: the default starts a pool of them for every frame, which takes ten times as
        # long on small frames.
        converted = frame.reformat(format="rgb24", threads=1, **smaller)
        image: Any = converted.to_ndarray()
    except (*DECODER_ERRORS, ValueError) as error:
        raise VideoError(
            name, f"{frame.format.name} pictures cannot be converted to RGB: {reason(error)}"
        ) from error
    # A frame that was RGB already belongs to the decoder, which may still refer to it.
    return turn.apply(image.copy() if converted is frame else image)


def orientation_of(frame: av.VideoFrame, packet: Any) -> Orientation | None:
    """Return how a frame is turned upright; None where its metadata make no sense.

    ``packet`` is what the frame was decoded from. Not for every frame of a video: a frame whose
    side data were looked at refers to itself, and stays in memory until the garbage collector runs.
    """
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV refuses the whole list where it has an entry that it does not know, such as EXIF.
        return orientation.from_exif(bytes(packet), degrees=frame.rotation)
    return UPRIGHT if matrix is None else orientation.from_matrix(bytes(matrix))


def reason(error: BaseException) -> str:
    """Return an error's text without the decoder's function names."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[0].lower() + text[1:]


def end_of_pictures(name: str, done: int, failure: Exception, *, limits: Limits) -> str:
    """Return the warning that decoding broke off after ``done`` frames.

    Raises VideoError instead where there is no frame at all, or where errors are strict.
    """
    stopped = f"decoding stopped at frame {done}: {reason(failure)}"
    if done == 0 or limits.errors == "strict":
        raise VideoError(name, stopped) from failure
    return stopped
