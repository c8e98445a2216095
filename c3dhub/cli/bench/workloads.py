"""What one run of each measurement does: matrix product, network alone, decoding alone, all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...clips.rule import ClipRule
from ...extract import extract_features
from ...extraction.batch_size import fitting_batch_size
from ...extraction.engines import native_bfloat16
from ...extraction.feature_extractor import FeatureExtractor
from ...extraction.options import ReadOptions
from ...extraction.pipeline import Batch, Ended, Reading, read_batches
from ...video import open_video
from .timing import Key, Work

BATCH = 8
"""Clips that are read at once where only reading is measured."""

MATMUL_SIZE = 4096


def matmul_works(device: torch.device, *, size: int | None = None) -> dict[Key, Work]:
    """Return a matrix product for each precision that the hardware multiplies natively.

    Others would take minutes. ``size``: side of the matrices; default ``MATMUL_SIZE``.
    """
    precisions = ("float32", "bfloat16") if native_bfloat16(device) else ("float32",)
    size = size or MATMUL_SIZE
    return {("matmul", p): matmul_work(p, device=device, size=size) for p in precisions}


def matmul_work(precision: str, *, device: torch.device, size: int) -> Work:
    """Return work that multiplies two square matrices; its amount is GFLOP."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(size, size, generator=generator).to(device, dtype)
    product = torch.empty_like(a)

    def work() -> float:
        torch.mm(a, a, out=product)
        product[0, 0].item()  # waits for an accelerator
        return 2 * size**3 / 1e9

    return work


def network_work(network: FeatureExtractor, clips: Tensor, *, batch: int | None = None) -> Work:
    """Return work that puts float32 ``clips`` (N, 3, T, H, W) through to the pooled features.

    ``batch`` clips at once; None takes as many as ``extract_features`` would.
    """
    if batch is None:
        batch = fitting_batch_size(None, network, ClipRule(clip_len=network.config.clip_len))
    parts = torch.split(clips.to(network.device), batch)

    def work() -> float:
        with torch.inference_mode():
            for part in parts:
                network.forward_stages(part, ("avgpool",))["avgpool"].float().cpu()
        return float(len(clips))

    return work


def decode_work(video: str, *, network: FeatureExtractor, end: float | None = None) -> Work:
    """Return work that reads a video up to the normalised batch, without a network."""
    rule = ClipRule(clip_len=network.config.clip_len, end=end)
    transform = network.transforms
    reading = Reading(rule, transform, ReadOptions(batch_size=BATCH))

    def work() -> float:
        count = 0
        for event in read_batches([video], reading):
            if isinstance(event, Ended) and event.error is not None:
                raise event.error
            if isinstance(event, Batch):
                transform.normalize(event.frames)
                count += len(event.owners)
        return float(count)

    return work


def end_to_end_work(video: str, *, network: FeatureExtractor, end: float | None = None) -> Work:
    """Return work that extracts the pooled features of a video with a network that is ready."""
    return lambda: float(len(extract_features(video, model=network, end=end)))


def warm_up(video: str, *, networks: Sequence[FeatureExtractor]) -> None:
    """Read the beginning of a video with each network, so that all is compiled and cached.

    An engine may compile anew for the clips that a video gives, after it computed others.
    """
    for network in networks:
        seconds = 2 * clip_seconds(video, clip_len=network.config.clip_len)
        end_to_end_work(video, network=network, end=end_after(video, seconds=seconds))()


def end_after(video: str, *, seconds: float) -> float:
    """Return ``end`` for the first ``seconds`` of a video, whose clock may not start at 0.

    Raises VideoError where no frame can be read.
    """
    with open_video(video) as source:
        first = next(iter(source))
        return first.seconds + seconds


def clip_seconds(video: str, *, clip_len: int) -> float:
    """Return how long a clip of ``clip_len`` frames lasts in ``video``."""
    with open_video(video) as source:
        return clip_len / (source.frame_rate or 25.0)
