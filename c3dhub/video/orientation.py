"""Turning pictures upright: the eight ways in which a camera can be held or mirrored.

A container says so with a display matrix, a photograph with the orientation number of its EXIF
block. Players show the picture turned; decoders hand it out as it was stored.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# A matrix may be off by this many degrees, as some phones write it.
_TOLERANCE = math.tan(math.radians(1.0))
_EXIF_TAG = 0x0112


@dataclass(frozen=True)
class Orientation:
    """How the stored picture becomes the upright one.

    Parameters
    ----------
    transposed: rows and columns change places first.
    flip_x, flip_y: then left and right, top and bottom do.
    """

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, image: Image) -> Image:
        """Return the upright picture (H, W, 3), C-contiguous."""
        if self.transposed:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(image[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])


UPRIGHT = Orientation()

_FROM_EXIF = {
    1: UPRIGHT,
    2: Orientation(flip_x=True),
    3: Orientation(flip_x=True, flip_y=True),
    4: Orientation(flip_y=True),
    5: Orientation(transposed=True),
    6: Orientation(transposed=True, flip_x=True),
    7: Orientation(transposed=True, flip_x=True, flip_y=True),
    8: Orientation(transposed=True, flip_y=True),
}
# What av_display_rotation_get makes of the matrix of each number.
_EXIF_DEGREES = {1: 0, 2: 180, 3: 180, 4: 0, 5: 270, 6: 270, 7: 90, 8: 90}
_FROM_DEGREES = {0: _FROM_EXIF[1], 90: _FROM_EXIF[8], 180: _FROM_EXIF[3], 270: _FROM_EXIF[6]}


def from_matrix(data: bytes) -> Orientation | None:
    """Read FFmpeg's display matrix, nine int32 ``a b u c d v x y w``.

    A stored point (x, y), y downwards, is shown at (a x + c y, b x + d y). None where that is
    neither a multiple of 90 degrees nor a mirror image of one.
    """
    if len(data) != 36:
        return None
    a, b, _, c, d, *_ = struct.unpack("=9i", data)
    if _is_axis(a, b) and _is_axis(d, c):
        return Orientation(flip_x=a < 0, flip_y=d < 0)
    if _is_axis(b, a) and _is_axis(c, d):
        return Orientation(transposed=True, flip_x=c < 0, flip_y=b < 0)
    return None


def from_degrees(degrees: int) -> Orientation | None:
    """Return the orientation for a counterclockwise turn; None unless it is a multiple of 90."""
    return _FROM_DEGREES.get(degrees % 360)


def from_exif(data: bytes, *, degrees: int) -> Orientation | None:
    """Find the EXIF block in the bytes of a picture file and read its orientation.

    JPEG, PNG and WebP embed the same TIFF structure. ``degrees`` is the turn that the decoder found
    in it, which does not tell whether the picture is mirrored as well; where the bytes say
    something else, they are no EXIF block, and the turn alone counts.
    """
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        at = data.find(mark)
        number = _exif_number(data[at:], order) if at >= 0 else 0
        if number in _FROM_EXIF and _EXIF_DEGREES[number] == degrees % 360:
            return _FROM_EXIF[number]
    return from_degrees(degrees)


def _exif_number(tiff: bytes, order: str) -> int:
    try:
        (offset,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, offset)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, offset + 2 + 12 * entry)
            if tag == _EXIF_TAG:
                return int(value)
    except struct.error:
        return 0  # a broken block says nothing
    return 0


def _is_axis(along: int, across: int) -> bool:
    return along != 0 and abs(across) <= _TOLERANCE * abs(along)
