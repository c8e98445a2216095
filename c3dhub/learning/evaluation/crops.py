"""Several views of every clip: where the crops of a frame lie, and what each of them counts.

All crops are cut out of the frame as the network's contract scales it, so that figures of different
schemes are about the same picture. A frame is decoded and scaled once, however many crops it gives.

Sources: three crops along the long side as Feichtenhofer et al. test SlowFast networks (ICCV 2019,
section 4); ten crops, the four corners, the centre and the mirror images of these five, as
Krizhevsky et al. test AlexNet (NIPS 2012, section 4.1).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...base.checks import check_choice
from ...clips.transforms import ClipTransform, Frames, crop_offsets
from ...registry.config import InputContract

Crops = Literal["center", "three", "ten"]

# (row, column) of each crop: 0 is the top or left end of the frame, 1 its middle, 2 the other end.
_CENTER = ((1, 1),)
_ALONG_WIDTH = ((1, 0), (1, 1), (1, 2))
_ALONG_HEIGHT = ((0, 1), (1, 1), (2, 1))
_CORNERS = ((0, 0), (0, 2), (1, 1), (2, 0), (2, 2))

_WORDS = {
    "center": "centre crop",
    "three": "three crops: at both ends of the frame's long side and in its middle, "
    "centred along the short side",
    "ten": "ten crops: the four corners and the centre, each as it is and mirrored",
}


class CropsTransform(ClipTransform):
    """The input contract with ``K`` crops of a frame instead of its centre crop alone.

    :meth:`resize` gives uint8 (T, K, crop_size, crop_size, 3); :meth:`views` turns clips of such
    frames into V plain clips each, ``V = K`` or, with mirror images, ``2 K``.

    Parameters
    ----------
    contract: of the network.
    crops: ``"center"``, ``"three"`` or ``"ten"``.

    Where the contract scales the short side to the crop itself (2018, 2020), the two corners at one
    end of the long side are one and the same crop: ten crops are then three that are computed, both
    ends counting twice, and their mirror images.
    """

    def __init__(self, contract: InputContract, *, crops: Crops) -> None:
        super().__init__(contract)
        check_choice("crops", crops, get_args(Crops))
        self.crops = crops
        self._corners_coincide = contract.resize_size == (contract.crop_size,)

    @property
    def weights(self) -> NDArray[np.float64]:
        """What each view counts in the mean, float64 (V,), summing to 1."""
        shares = {"center": [1], "three": [1, 1, 1], "ten": [1, 1, 1, 1, 1] * 2}[self.crops]
        if self.crops == "ten" and self._corners_coincide:
            shares = [2, 1, 2] * 2
        return np.array(shares, np.float64) / sum(shares)

    def resize(self, frames: Frames) -> Tensor:
        """Scale uint8 frames (T, H, W, 3) and cut uint8 (T, K, crop_size, crop_size, 3) out."""
        images, crop = self.scale(frames).numpy(), self.contract.crop_size  # (T, h, w, 3)
        places = self.places(images.shape[1], images.shape[2])
        cut = [images[:, top : top + crop, left : left + crop] for top, left in places]
        return torch.from_numpy(np.stack(cut, axis=1))

    def places(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return (top, left) of each crop in a scaled frame, in the order of the views.

        Example: 112x149 (H, W) and three crops of 112 give (0, 0), (0, 18), (0, 37).
        """
        crop = self.contract.crop_size
        top, left = crop_offsets(height, width, crop)
        rows, columns = (0, top, height - crop), (0, left, width - crop)
        return [(rows[row], columns[column]) for row, column in self._crops_of(height, width)]

    def _crops_of(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        if self.crops == "center":
            return _CENTER
        if self.crops == "ten" and not self._corners_coincide:
            return _CORNERS
        return _ALONG_WIDTH if width >= height else _ALONG_HEIGHT

    def views(self, clips: Tensor) -> Tensor:
        """Turn uint8 clips (N, T, K, H, W, 3) into plain ones (N * V, T, H, W, 3), clip by clip."""
        each = clips.movedim(2, 1)  # (N, K, T, H, W, 3)
        if self.crops == "ten":
            each = torch.cat([each, each.flip(4)], dim=1)  # (N, 2 K, T, H, W, 3)
        return each.flatten(0, 1).contiguous()

    @property
    def in_words(self) -> str:
        """The scheme as the protocol states it."""
        size = "x".join(str(side) for side in self.contract.resize_size)
        scaled = (
            f"frames scaled to a short side of {size}"
            if self.contract.resize_mode == "short_side"
            else f"frames scaled to {size} (height x width)"
        )
        words = f"{_WORDS[self.crops]}, {self.contract.crop_size} pixels wide and high, {scaled}"
        if self.crops == "ten" and self._corners_coincide:
            words += " (two corners coincide at either end, which therefore counts twice)"
        return words
