"""What cameras and codecs do to a clip: noise, blur, blocks, flicker, frames shown twice."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from drawing import Pixels
from torch.nn import functional as F


def degrade(frames: Pixels, rng: np.random.Generator) -> Pixels:
    """Return uint8 (F, H, W, 4) as a cheap camera would have filmed and stored it."""
    kind = rng.random(5)
    if kind[0] < 0.2:
        frames = _small_and_large(frames, float(rng.uniform(0.4, 0.85)))
    if kind[1] < 0.07:
        frames = _blocks(frames, int(rng.choice([6, 10, 16])))
    if kind[2] < 0.08:
        frames = frames[np.arange(len(frames)) // 2 * 2]
    if kind[3] < 0.15:
        frames = _flicker(frames, rng)
    if kind[4] < 0.75:
        frames = _noise(frames, rng)
    return frames


def _small_and_large(frames: Pixels, factor: float) -> Pixels:
    height, width = frames.shape[1:3]
    planes = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    small = (round(height * factor), round(width * factor))
    planes = F.interpolate(planes, small, mode="bilinear", antialias=True)
    planes = F.interpolate(planes, (height, width), mode="bilinear", antialias=True)
    return planes.permute(0, 2, 3, 1).contiguous().numpy()


def _blocks(frames: Pixels, level: int) -> Pixels:
    """Round what differs from the mean of each block of 8x8 to multiples of ``level``."""
    count, height, width, _ = frames.shape
    blocks = frames.reshape(count, height // 8, 8, width // 8, 8, 4)
    mean = blocks[:, :, ::2, :, ::2].mean(axis=(2, 4), keepdims=True, dtype=np.float32)
    rest = blocks.astype(np.int16) - mean.astype(np.int16)
    rest = (rest + level // 2) // level * level + mean.astype(np.int16)
    rounded: Pixels = np.minimum(np.maximum(rest, 0), 255).astype(np.uint8)
    return rounded.reshape(frames.shape)


def _flicker(frames: Pixels, rng: np.random.Generator) -> Pixels:
    """Change the brightness from frame to frame, or slowly."""
    steps = rng.normal(0, 0.05, len(frames))
    gain = 1 + (steps if rng.random() < 0.4 else np.cumsum(steps) * 0.4)
    scaled = (
        frames.astype(np.int16) * np.clip(gain * 64, 40, 96).astype(np.int16)[:, None, None, None]
    )
    # 255 * 96 still fits into 16 bits.
    bright: Pixels = np.minimum(scaled >> 6, 255).astype(np.uint8)
    return bright


def _noise(frames: Pixels, rng: np.random.Generator) -> Pixels:
    more, less = _noise_bank()
    level, start = int(rng.integers(0, 4)), int(rng.integers(0, more.shape[1] - frames.size))
    place = slice(start, start + frames.size)
    up, down = (bank[level, place].reshape(frames.shape) for bank in (more, less))
    # Saturating arithmetic that never leaves uint8.
    return np.maximum(np.minimum(frames, ~up) + up, down) - down


@lru_cache(maxsize=1)
def _noise_bank() -> tuple[Pixels, Pixels]:
    """Return what to add and what to take off, uint8 (4, n): deviations of 1, 2.5, 5 and 9."""
    rng = np.random.default_rng(19980613)
    plane = np.rint(np.array([[1.0], [2.5], [5.0], [9.0]]) * rng.normal(size=1 << 20))
    return plane.clip(0, 40).astype(np.uint8), (-plane).clip(0, 40).astype(np.uint8)
