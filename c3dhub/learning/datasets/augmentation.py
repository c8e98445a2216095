"""Which part of a frame a training clip shows: the paper's multi-scale corner crop and flip.

Pure arithmetic. Random numbers are drawn once per clip, so that all its frames are cut alike.
Source: Hara et al., CVPR 2018 (arXiv:1711.09577), on training: four corners or centre, sides of 1,
2^(-1/4), 2^(-1/2), 2^(-3/4) or 1/2 of the short side, flipped with probability 1/2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ...clips.transforms import crop_offsets, resized_size
from ...registry.config import InputContract

Position = Literal["center", "top_left", "top_right", "bottom_left", "bottom_right"]

PAPER_SCALES = tuple(2 ** (-exponent / 4) for exponent in range(5))
POSITIONS: tuple[Position, ...] = get_args(Position)


@dataclass(frozen=True)
class Augmentation:
    """How training clips are varied in space; each clip draws its own scale, position and flip.

    Parameters
    ----------
    scales: sides of the crop relative to the short side, above 0 and at most 1; one is drawn.
    positions: where the crop lies; one is drawn.
    flip: probability that left and right are swapped. 0 where a class depends on the side.

    Examples
    --------
    ``Augmentation()`` is the paper's. ``Augmentation(flip=0)`` leaves left and right as they are.
    ``Augmentation(scales=(1.0,), positions=("center",), flip=0)`` varies nothing.
    """

    scales: tuple[float, ...] = PAPER_SCALES
    positions: tuple[Position, ...] = POSITIONS
    flip: float = 0.5

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise ValueError(
                f"scales is {self.scales}; it must hold numbers above 0 and at most 1, such as 0.5"
            )
        if not self.positions or not set(self.positions) <= set(POSITIONS):
            raise ValueError(
                f"positions is {self.positions}; it must hold some of {', '.join(POSITIONS)}"
            )
        if not 0 <= self.flip <= 1:
            raise ValueError(f"flip is {self.flip}; it must be a probability, 0 to 1")

    def draw(self, numbers: Sequence[float]) -> Cut:
        """Return the cut that three uniform random numbers in [0, 1) stand for."""
        scale, position, flip = numbers
        return Cut(
            self.scales[int(scale * len(self.scales))],
            self.positions[int(position * len(self.positions))],
            flip < self.flip,
        )


@dataclass(frozen=True)
class Box:
    """A part of a frame, in pixels: rows ``top`` to ``top + height``, columns alike."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Cut:
    """What was drawn for one clip: scale and position of the crop, and whether it is flipped."""

    scale: float
    position: Position
    is_flipped: bool

    def box(self, height: int, width: int, contract: InputContract) -> Box:
        """Return the part of a frame of that size that the clip shows.

        With a contract that keeps the shape of the frame it is a square. With one that scales to a
        fixed size it is what becomes a square by that scaling.

        Example: for 240x320 and scale 1 in the centre, rows 0 to 240, columns 40 to 280.
        """
        rows, columns = self._sides(height, width, contract)
        top, left = crop_offsets(height, columns, rows)[0], crop_offsets(rows, width, columns)[1]
        if self.position != "center":
            top = 0 if "top" in self.position else height - rows
            left = 0 if "left" in self.position else width - columns
        return Box(top, left, rows, columns)

    def _sides(self, height: int, width: int, contract: InputContract) -> tuple[int, int]:
        resized = resized_size(height, width, contract)  # also refuses extreme shapes
        if contract.resize_mode == "short_side":
            side = max(math.floor(min(height, width) * self.scale), 1)
            return side, side
        scaled = min(resized) * self.scale
        rows, columns = height * scaled / resized[0], width * scaled / resized[1]
        return max(math.floor(rows), 1), max(math.floor(columns), 1)
