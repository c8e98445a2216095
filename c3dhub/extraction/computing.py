"""uint8 clips -> rows of features, on any device, while the next clips are read.

:func:`start` begins with a batch and gives back a function that waits for its result. On CUDA and
OpenVINO the caller goes on at once; torch on a CPU computes before it returns, with all cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.version import __version__
from ..clips.rule import ClipRule
from ..networks import VideoNetwork, stage_shapes
from .engines import CompiledNetwork

Rows = dict[str, NDArray[np.float32]]  # stage -> (N, ...)
Pending = Callable[[], Rows]

# Rule of thumb for the memory that a clip takes: floats of activation per float of its input.
_FLOATS_PER_INPUT = 50
_MOST_CLIPS = {"cpu": 4}  # more are no faster there and take more memory
_MOST_CLIPS_ACCELERATOR = 32


def start(network: VideoNetwork, frames: Tensor, *, stages: Sequence[str], pool: bool) -> Pending:
    """Put uint8 clips (N, T, H, W, 3) through an inference form; call the result for the rows.

    A batch for which memory runs out is tried again in halves.
    """
    if isinstance(network, CompiledNetwork):
        return network.start(frames, stages=stages, pool=pool)
    try:
        return _start_on_torch(network, frames, stages=stages, pool=pool)
    except RuntimeError as error:
        if len(frames) == 1 or not _out_of_memory(error):
            raise
    halves = [start(network, half, stages=stages, pool=pool)() for half in frames.chunk(2)]
    return lambda: {name: np.concatenate([half[name] for half in halves]) for name in stages}


def _start_on_torch(
    network: VideoNetwork, frames: Tensor, *, stages: Sequence[str], pool: bool
) -> Pending:
    device = network.device
    with torch.inference_mode():
        if device.type == "cuda":
            frames = frames.pin_memory()  # only from pinned memory the copy overlaps
        on_device = frames.to(device, non_blocking=True)  # a quarter of the bytes of float32
        clips = network.transforms.normalize(on_device, dtype=network.dtype)
        found = network.forward_stages(clips, stages)
        values = {name: _to_cpu(value, pool=pool) for name, value in found.items()}
    if device.type != "cuda":
        return lambda: {name: value.numpy() for name, value in values.items()}
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record(torch.cuda.current_stream(device))

    def result() -> Rows:
        copied.synchronize()
        return {name: value.numpy() for name, value in values.items()}

    return result


def _to_cpu(value: Tensor, *, pool: bool) -> Tensor:
    """Return float32 on the CPU; from CUDA the copy may still be under way."""
    value = value.float()
    if pool and value.ndim == 5:
        value = value.mean(dim=(2, 3, 4))  # (N, C, T', H', W') -> (N, C)
    value = value.contiguous()
    if value.device.type != "cuda":
        return value.cpu()
    host = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
    return host.copy_(value, non_blocking=True)


def describe(network: VideoNetwork, *, stages: Sequence[str], pool: bool) -> dict[str, Any]:
    """Return what the provenance says of the network and of how it was run."""
    config = network.config
    prepared = {}
    if isinstance(network, CompiledNetwork):
        recipe = network.recipe
        prepared = {"calibration": recipe["calibration"], "engine_versions": recipe["versions"]}
    return {
        "c3dhub_version": __version__,
        "torch_version": torch.__version__,
        "model": {
            "name": config.name,
            "architecture": config.architecture,
            "weights_sha256": network.weights_sha256,
        },
        "input": config.to_dict()["input"],
        "precision": network.inference_precision,
        "engine": network.inference_engine,
        **prepared,
        "device": network.device.type,
        "stages": list(stages),
        "pool": pool,
    }


def fitting_batch_size(wanted: int | None, network: VideoNetwork, rule: ClipRule) -> int:
    """Return how many clips go through the network at once: ``wanted``, or what memory allows."""
    if wanted is not None:
        if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
            raise ValueError(f"batch_size is {wanted!r}; it must be a whole number above 0 or None")
        return wanted
    device = network.device
    side = network.config.input.crop_size
    clip_bytes = 4 * _FLOATS_PER_INPUT * network.config.in_channels * rule.clip_len * side * side
    most = _MOST_CLIPS.get(device.type, _MOST_CLIPS_ACCELERATOR)
    return max(1, min(most, _free_memory(device) // 4 // clip_bytes))


def no_rows(network: VideoNetwork, *, stages: Sequence[str], pool: bool, clip_len: int) -> Rows:
    """Return the arrays of a video without clips: no rows, but the right shapes."""
    shapes = stage_shapes(network, clip_len, network.config.input.crop_size)
    return {
        name: np.empty((0, *(shapes[name][:1] if pool else shapes[name])), np.float32)
        for name in stages
    }


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4 << 30  # systems that do not tell: what a laptop can spare


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
