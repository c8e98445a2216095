"""What surrounds the computing: how many clips at once, and what the provenance says of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from ..base.version import __version__
from ..clips.rule import ClipRule
from .clip_network import ClipNetwork, Rows

# Rule of thumb for the memory that a clip takes: floats of activation per float of its input.
_FLOATS_PER_INPUT = 50
_MOST_CLIPS_CPU = 4  # more are no faster there and take more memory
_MOST_CLIPS = 32


def describe(network: ClipNetwork, *, stages: Sequence[str], pool: bool) -> dict[str, Any]:
    """Return what the provenance says of the network and of how it was run."""
    config = network.config
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
        **network.engine_details(),
        "device": network.device.type,
        "stages": list(stages),
        "pool": pool,
    }


def fitting_batch_size(wanted: int | None, network: ClipNetwork, rule: ClipRule) -> int:
    """Return how many clips go through the network at once: ``wanted``, or what memory allows."""
    if wanted is not None:
        return wanted
    device = network.device
    side = network.config.input.crop_size
    clip_bytes = 4 * _FLOATS_PER_INPUT * network.config.in_channels * rule.clip_len * side * side
    most = _MOST_CLIPS_CPU if device.type == "cpu" else _MOST_CLIPS
    return max(1, min(most, _free_memory(device) // 4 // clip_bytes))


def no_rows(network: ClipNetwork, *, stages: Sequence[str], pool: bool, clip_len: int) -> Rows:
    """Return the arrays of a video without clips: no rows, but the shapes of one black clip's."""
    side = network.config.input.crop_size
    black = torch.zeros(1, clip_len, side, side, 3, dtype=torch.uint8)
    rows = network.start(black, stages=stages, pool=pool)()
    return {name: value[:0] for name, value in rows.items()}


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4 << 30  # systems that do not tell: what a laptop can spare
