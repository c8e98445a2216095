"""uint8 frames -> float clips, exactly as each release's networks were fed.

Two halves: :meth:`ClipTransform.resize` (per frame, uint8 to uint8, done while decoding, so that
only small frames are kept) and :meth:`ClipTransform.normalize` (per batch, on the network's own
device).

Sources: the authors' ``spatial_transforms.py`` (PIL, antialiased) for the 2018 and 2020 releases;
torchvision's ``VideoClassification`` preset (not antialiased, rounded to uint8) for its networks.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..registry.config import InputContract

Frames: TypeAlias = "np.ndarray | Tensor"

# A frame 32 times as long as wide loses 97 % of itself to the centre crop, and resizing it first
# would need memory without bound.
MAX_ASPECT = 32


class ClipTransform:
    """The input contract of a network as a callable.

    Called with a clip of uint8 RGB frames (T, H, W, 3), numpy or torch, it gives float32
    (3, T, crop_size, crop_size) on the CPU.

    Example: with the 2018 contract, frames (16, 360, 480, 3) become (3, 16, 112, 112) with values
    between -115 and 156.
    """

    def __init__(self, contract: InputContract) -> None:
        self.contract = contract
        # (p * max_value / 255 - mean) / std as one multiplication and one addition.
        std = torch.tensor(contract.std, dtype=torch.float64)
        scale = contract.max_value / 255 / std
        bias = -torch.tensor(contract.mean, dtype=torch.float64) / std
        self._scale = scale.float().view(-1, 1, 1, 1)  # (C, 1, 1, 1)
        self._bias = bias.float().view(-1, 1, 1, 1)  # (C, 1, 1, 1)

    def __call__(self, frames: Frames) -> Tensor:
        return self.normalize(self.resize(frames).unsqueeze(0))[0]

    def resize(self, frames: Frames) -> Tensor:
        """Scale and crop uint8 frames (T, H, W, 3) to uint8 (T, crop_size, crop_size, 3)."""
        images = self.scale(frames)
        top, left = crop_offsets(images.shape[1], images.shape[2], self.contract.crop_size)
        crop = self.contract.crop_size
        images = images[:, top : top + crop, left : left + crop]  # (T, crop, crop, 3)
        if images.device.type != "cpu":
            return images.contiguous()
        # numpy copies in this thread. torch would share the work with its other threads, which then
        # wait actively for more and take the cores from decoder and network.
        return torch.from_numpy(np.ascontiguousarray(images.numpy()))

    def scale(self, frames: Frames) -> Tensor:
        """Scale uint8 frames (T, H, W, 3) without cropping them: a view of uint8 (T, h, w, 3)."""
        pixels = _as_uint8(frames, channels=len(self.contract.mean))
        height, width = resized_size(pixels.shape[1], pixels.shape[2], self.contract)
        planes = pixels.permute(0, 3, 1, 2)  # (T, 3, H, W)
        if (height, width) != tuple(planes.shape[2:]):
            planes = bilinear(planes, (height, width), antialias=self.contract.antialias)
        return planes.permute(0, 2, 3, 1)

    def normalize(self, clips: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """Turn uint8 clips (N, T, H, W, 3) into ``dtype`` (N, 3, T, H, W) on the same device."""
        scale, bias = (t.to(clips.device) for t in (self._scale, self._bias))
        planes = clips.permute(0, 4, 1, 2, 3).float()  # (N, 3, T, H, W)
        return torch.addcmul(bias, planes, scale).to(dtype).contiguous()

    def __repr__(self) -> str:
        c = self.contract
        return (
            f"ClipTransform(uint8 (T, H, W, 3) -> float32 (3, T, {c.crop_size}, {c.crop_size}); "
            f"resize={c.resize_mode} {c.resize_size}, antialias={c.antialias}, "
            f"max_value={c.max_value}, mean={c.mean}, std={c.std})"
        )


def resized_size(height: int, width: int, contract: InputContract) -> tuple[int, int]:
    """Return (height, width) of a frame after scaling, before the crop.

    Example: 360x480 with a short side of 112 gives (112, 149), as ``int(112 * 480 / 360)`` does.
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(
            f"the frames are {width}x{height}; one side may be at most {MAX_ASPECT} times the "
            "other, because the centre crop keeps almost nothing beyond: crop the video first"
        )
    if contract.resize_mode == "exact":
        return contract.resize_size[0], contract.resize_size[1]
    short = contract.resize_size[0]
    if width < height:
        return int(short * height / width), short
    return short, int(short * width / height)


def crop_offsets(height: int, width: int, crop: int) -> tuple[int, int]:
    """Return (top, left) of the centre crop; halves round to the even number, as upstream's do."""
    return round((height - crop) / 2), round((width - crop) / 2)


def bilinear(planes: Tensor, size: tuple[int, int], *, antialias: bool) -> Tensor:
    """Scale uint8 planes (T, 3, H, W) to ``size``, giving uint8."""
    if antialias:
        # The uint8 kernel of torch follows PIL's fixed-point arithmetic.
        return F.interpolate(planes, size, mode="bilinear", antialias=True)
    scaled = F.interpolate(planes.float(), size, mode="bilinear", antialias=False)
    return scaled.round_().to(torch.uint8)


def _as_uint8(frames: Frames, *, channels: int) -> Tensor:
    if not isinstance(frames, (np.ndarray, Tensor)):
        raise TypeError(f"frames are a {type(frames).__name__}; give a numpy array or a tensor")
    if channels != 3:
        raise ValueError(
            f"this network takes {channels} channels, but video frames have 3; "
            "feed it with your own tensors instead"
        )
    # A view with negative strides (a flipped array) is nothing that torch can wrap.
    pixels = (
        torch.from_numpy(np.ascontiguousarray(frames)) if isinstance(frames, np.ndarray) else frames
    )
    if pixels.dtype != torch.uint8:
        raise TypeError(
            f"frames have dtype {frames.dtype}; they must be uint8 RGB, 0 to 255, not normalised"
        )
    if pixels.ndim != 4 or pixels.shape[3] != 3 or 0 in pixels.shape:
        raise ValueError(
            f"frames have shape {tuple(pixels.shape)}; they must be (T, H, W, 3), none of them 0"
        )
    return pixels
