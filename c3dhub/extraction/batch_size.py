"""How many clips go through a network at once."""

from __future__ import annotations

import os

import torch

from ..clips.rule import ClipRule
from .clip_network import ClipNetwork

# Rule of thumb for the memory that a clip takes: floats of activation per float of its input.
_FLOATS_PER_INPUT = 50
_MOST_CLIPS_CPU = 4  # more are no faster there and take more memory
_MOST_CLIPS = 32


def fitting_batch_size(wanted: int | None, network: ClipNetwork, rule: ClipRule) -> int:
    """Return how many clips go through the network at once: ``wanted``, or what memory allows."""
    if wanted is not None:
        return wanted
    device = network.device
    side = network.config.input.crop_size
    clip_bytes = 4 * _FLOATS_PER_INPUT * network.config.in_channels * rule.clip_len * side * side
    most = _MOST_CLIPS_CPU if device.type == "cpu" else _MOST_CLIPS
    return max(1, min(most, _free_memory(device) // 4 // clip_bytes))


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4 << 30  # systems that do not tell: what a laptop can spare
