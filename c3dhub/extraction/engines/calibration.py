"""Clips that show an int8 network how large its values get.

The bundled set is made by a formula: textures with the spectrum of natural images (1/f), drifting,
under objects of many sizes that move past and hide each other. So every machine quantises the same
weights in the same way, without footage and without a download.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...clips.reading import read_clips
from ...clips.rule import ClipRule
from ...clips.transforms import ClipTransform
from ...video import VideoSource, open_video

_BUNDLED_CLIPS = 24
_CLIPS_PER_VIDEO = 8
_MOST_CLIPS = 64

Floats = NDArray[np.float64]


def bundled_clips(*, clip_len: int, size: int) -> Tensor:
    """Return the bundled set: uint8 (24, clip_len, size, size, 3), the same everywhere."""
    rng = np.random.Generator(np.random.PCG64(0))
    clips = [_synthetic_clip(rng, clip_len, size) for _ in range(_BUNDLED_CLIPS)]
    return torch.from_numpy(np.stack(clips))


def clips_of(videos: Sequence[VideoSource], *, clip_len: int, transform: ClipTransform) -> Tensor:
    """Return clips of the user's own videos: uint8 (n_clips, clip_len, H, W, 3).

    From each video in turn up to 8 clips, one of every four, 64 altogether. Raises VideoError where
    a video cannot be read, ValueError where none is given.
    """
    if isinstance(videos, (str, bytes)) or not isinstance(videos, Sequence) or not videos:
        raise ValueError(
            f"calibration is {videos!r}; give a list with at least one video, or None for the "
            "bundled clips"
        )
    rule = ClipRule(clip_len=clip_len, clip_stride=4 * clip_len)
    taken = [clip for video in videos for clip in _first_clips(video, rule, transform)]
    return torch.stack(taken[:_MOST_CLIPS])


def _first_clips(video: VideoSource, rule: ClipRule, transform: ClipTransform) -> list[Tensor]:
    with open_video(video) as source:
        clips = read_clips(source, rule=rule, transform=transform)
        return [clip.frames for clip in islice(clips, _CLIPS_PER_VIDEO)]


def _synthetic_clip(rng: np.random.Generator, clip_len: int, size: int) -> NDArray[np.uint8]:
    contrast = rng.uniform(20, 60)
    base = rng.uniform(40, 160) + rng.normal(0, 15, 3)
    ground = base + contrast * _texture(rng, 2 * size)
    drift = rng.normal(0, rng.choice([0.0, 0.5, 2.0]), 2)
    objects = _Objects(rng, base, contrast, size)
    frames = np.empty((clip_len, size, size, 3), np.uint8)
    for t in range(clip_len):
        top, left = (size / 2 + drift * t).astype(int) % size
        frame = ground[top : top + size, left : left + size].copy()
        objects.draw(frame, t)
        frames[t] = frame.clip(0, 255)
    return frames


def _texture(rng: np.random.Generator, size: int) -> Floats:
    """Return colour noise (size, size, 3) of mean 0 whose amplitude falls with frequency."""
    frequencies = np.fft.fftfreq(size)
    radius = np.hypot(frequencies[:, None], frequencies)
    radius[0, 0] = 1
    shape = (size, size, 3)
    spectrum = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / radius[
        ..., None
    ] ** rng.uniform(0.6, 1.3)
    noise = np.fft.ifft2(spectrum, axes=(0, 1)).real
    noise = (noise - noise.mean((0, 1))) / noise.std()
    grey = noise.mean(2, keepdims=True)
    return np.asarray(0.85 * grey / grey.std() + 0.4 * noise)


class _Objects:
    """Textured boxes and ellipses, back to front, each with a velocity of its own."""

    def __init__(self, rng: np.random.Generator, base: Floats, contrast: float, size: int) -> None:
        n = int(rng.integers(4, 30))
        self.places = np.mgrid[0:size, 0:size].astype(float)
        self.texture = 0.4 * contrast * _texture(rng, size)
        self.radius = size / 28 / (rng.uniform(0, 1, n) ** 0.7 + 0.07)  # few large, many small
        self.centre = rng.uniform(0, size, (n, 2))
        self.velocity = rng.normal(0, rng.choice([0.3, 1.0, 3.0]), (n, 2))
        self.colour = base + rng.normal(0, contrast, (n, 1)) + rng.normal(0, 20, (n, 3))
        self.aspect = np.exp(rng.normal(0, 0.5, n))
        self.is_box = rng.uniform(size=n) < 0.5

    def draw(self, frame: Floats, t: int) -> None:
        for k, radius in enumerate(self.radius):
            dy, dx = self.places - (self.centre[k] + self.velocity[k] * t)[:, None, None]
            dy, dx = dy / self.aspect[k], dx * self.aspect[k]
            distance = np.maximum(abs(dy), abs(dx)) if self.is_box[k] else np.hypot(dy, dx)
            inside = distance < radius
            frame[inside] = self.colour[k] + self.texture[inside]
