"""A few labelled videos and a tiny model, for tests that train: 16 frames of 64x64 go in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from make_video import write_video

from c3dhub.hub import create_model
from c3dhub.networks import VideoNetwork

CLASSES = ("blue", "green", "red")
CLIP_LEN, CROP = 8, 64


def write_videos(folder: Path, *, each: int, seed: int = 0) -> Path:
    """Write ``each`` videos of every class, which are of one colour, and return the folder."""
    numbers = np.random.default_rng(seed)
    for name, channel in (("blue", 2), ("green", 1), ("red", 0)):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            frames = numbers.integers(0, 60, size=(CLIP_LEN + 2, 48, 48, 3), dtype=np.uint8)
            frames[..., channel] += np.uint8(150 + index)
            write_video(folder / name / f"{name}{index}.mp4", list(frames))
    return folder


def tiny_network(architecture: str = "resnet10", **options: int | str) -> VideoNetwork:
    """Return a frozen network of 8 channels that takes clips of 8 frames of 64x64 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model(architecture, num_classes=5, device="cpu", **options)  # type: ignore[arg-type]
    contract = replace(network.config.input, crop_size=CROP, resize_size=(CROP,))
    network.config = replace(network.config, clip_len=CLIP_LEN, input=contract)
    return network.eval().requires_grad_(False)


def write_model(folder: Path) -> Path:
    """Write :func:`tiny_network` and return the folder."""
    return tiny_network(width=8).save_pretrained(folder)
