"""What the provenance of a result says of the network and of how it was run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..base.version import __version__
from .clip_network import ClipNetwork


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
