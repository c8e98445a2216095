"""The plain way to get features, written from the paper's description: what c3dhub is held to.

One thread decodes with PyAV, PIL scales each frame to a short side of 112 pixels and cuts the
centre, ActivityNet's mean is taken off, and the plain network gets the clips eagerly in float32,
one at a time. Nothing here uses c3dhub's own reading, preprocessing or inference forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from c3dhub.extraction.feature_extractor import FeatureExtractor

MEAN = (114.7748, 107.7354, 99.4750)  # of ActivityNet, RGB, 0 to 255
SIDE = 112


def read_images(video: Path, *, seconds: float | None = None) -> Iterator[Image.Image]:
    """Yield the frames of the first ``seconds`` (None: all) as RGB pictures."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        first = None
        for frame in container.decode(stream):
            time = frame.time or 0.0
            first = time if first is None else first
            if seconds is not None and time - first >= seconds:
                return
            yield Image.fromarray(frame.to_ndarray(format="rgb24"))


def scale_and_crop(image: Image.Image) -> np.ndarray:
    """Return uint8 (112, 112, 3): short side to 112, bilinear, then the centre."""
    width, height = image.size
    short = min(width, height)
    size = int(SIDE * width / short), int(SIDE * height / short)
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - SIDE) / 2), round((size[1] - SIDE) / 2)
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


def read_clips(video: Path, *, clip_len: int, seconds: float | None = None) -> Iterator[np.ndarray]:
    """Yield uint8 clips (clip_len, 112, 112, 3) that touch; the last one is looped."""
    frames = (scale_and_crop(image) for image in read_images(video, seconds=seconds))
    while clip := list(islice(frames, clip_len)):
        yield np.stack([clip[i % len(clip)] for i in range(clip_len)])


def features(
    video: Path, *, network: FeatureExtractor, batch: int = 1, seconds: float | None = None
) -> np.ndarray:
    """Return the pooled features, float32 (n_clips, D), of a plain ``network`` in eval mode."""
    mean = torch.tensor(MEAN)
    clips = read_clips(video, clip_len=network.config.clip_len, seconds=seconds)
    rows = []
    while group := list(islice(clips, batch)):
        pixels = torch.from_numpy(np.stack(group)).float() - mean  # (N, T, H, W, 3)
        inputs = pixels.permute(0, 4, 1, 2, 3).contiguous().to(network.device)
        with torch.no_grad():
            rows.append(network.forward_stages(inputs, ("avgpool",))["avgpool"].cpu().numpy())
    return np.concatenate(rows)
