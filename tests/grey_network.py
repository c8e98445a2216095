"""A network whose answers are known beforehand: it names the grey level of a clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from make_video import Image, write_video
from torch import Tensor, nn

from c3dhub.networks import VideoNetwork
from c3dhub.registry.config import InputContract, ModelConfig

LEVELS = (20, 60, 100, 140, 180, 220)
NAMES = ("black", "coal", "slate", "stone", "ash", "snow")


class GreyNetwork(VideoNetwork):
    """Logit ``i`` is minus the distance of the clip's mean grey from level ``i``, over 10."""

    stage_names: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self, levels: Sequence[float] = LEVELS, *, classes: tuple[str, ...] | None = NAMES
    ) -> None:
        contract = InputContract(
            max_value=255.0, mean=(0.0,) * 3, std=(1.0,) * 3, resize_mode="short_side",
            resize_size=(112,), antialias=True,
        )  # fmt: skip
        config = ModelConfig("grey", "resnet10", len(levels), 16, contract, classes=classes)
        super().__init__(config)
        self.levels = nn.Parameter(torch.tensor(levels, dtype=torch.float32))

    def run(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        grey = x.mean(dim=(1, 2, 3, 4))  # (N,)
        yield "logits", -(grey[:, None] - self.levels).abs() / 10


def grey_logits(
    grey: float, levels: Sequence[float] = LEVELS
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return what the network answers for a clip of one grey level."""
    return -np.abs(grey - np.array(levels, np.float64)) / 10


def grey_frame(level: int, size: tuple[int, int] = (160, 112)) -> Image:
    """Return a uint8 (H, W, 3) picture of one grey level; ``size`` is (W, H)."""
    return np.full((size[1], size[0], 3), level, np.uint8)


def grey_video(path: Path, levels: Sequence[int], *, fps: int = 10) -> Path:
    """Write a lossless video with one frame for each level."""
    return write_video(path, [grey_frame(level) for level in levels], codec="png", fps=fps)
