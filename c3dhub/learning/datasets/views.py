"""Which parts of a scaled frame evaluation looks at: the centre, or several places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...clips.transforms import ClipTransform, Frames, crop_offsets
from ...registry.config import InputContract

Row = Literal["top", "middle", "bottom"]
Column = Literal["left", "middle", "right"]


@dataclass(frozen=True)
class View:
    """One crop of a scaled frame, ``crop_size`` on each side.

    ``View()`` is the centre crop that features are extracted from. For larger frames to crop from
    pass a contract with a larger ``resize_size``.
    """

    row: Row = "middle"
    column: Column = "middle"
    is_flipped: bool = False

    def offsets(self, height: int, width: int, crop: int) -> tuple[int, int]:
        """Return (top, left) in a frame of that size after scaling."""
        top, left = crop_offsets(height, width, crop)
        rows = {"top": 0, "middle": top, "bottom": height - crop}
        columns = {"left": 0, "middle": left, "right": width - crop}
        return rows[self.row], columns[self.column]


CENTER = (View(),)


class ViewsTransform(ClipTransform):
    """The input contract of a network, with several crops instead of the one in the centre."""

    def __init__(self, contract: InputContract, views: tuple[View, ...] = CENTER) -> None:
        super().__init__(contract)
        self.views = views

    def resize(self, frames: Frames) -> Tensor:
        """Scale and crop uint8 frames (T, H, W, 3) to uint8 (T, V, crop_size, crop_size, 3)."""
        images = self.scale(frames).numpy()  # (T, h, w, 3)
        crop = self.contract.crop_size
        crops = []
        for view in self.views:
            top, left = view.offsets(images.shape[1], images.shape[2], crop)
            part = images[:, top : top + crop, left : left + crop]
            crops.append(part[:, :, ::-1] if view.is_flipped else part)
        return torch.from_numpy(np.stack(crops, axis=1))
