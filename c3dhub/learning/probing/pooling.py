"""One row for each video: its clips' features, pooled over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...base.errors import near_matches
from ...extraction.features import Features
from ...extraction.network import ClipNetwork
from ...networks import stage_shapes

Pooling = Literal["mean", "max", "mean+max"]

Row = NDArray[np.float32]


def check_pooling(pooling: str) -> None:
    """Raise ValueError unless this is a way of pooling."""
    if pooling not in get_args(Pooling):
        known = get_args(Pooling)
        raise ValueError(
            f"pooling is {pooling!r}; it must be one of {', '.join(known)}."
            f"{near_matches(str(pooling), known)}"
        )


def video_row(features: Features, *, stages: Sequence[str], pooling: Pooling) -> Row:
    """Return float32 (D,): stage after stage, each pooled over the clips.

    ``"mean+max"`` puts the mean of a stage before its maximum, so D is twice as large. The mean is
    summed in float64: it must not depend on how many clips come before.
    """
    parts = []
    for stage in stages:
        clips = features[stage]  # (n_clips, C)
        if pooling != "max":
            parts.append(clips.mean(axis=0, dtype=np.float64))
        if pooling != "mean":
            parts.append(clips.max(axis=0))
    return np.concatenate(parts).astype(np.float32)


def row_names(network: ClipNetwork, *, stages: Sequence[str], pooling: Pooling) -> list[str]:
    """Return the names of the columns of :func:`video_row`, such as ``"avgpool_17"``.

    Example: with ``"mean+max"`` they are ``"avgpool_mean_0", ..., "avgpool_max_0", ...``.
    """
    shapes = stage_shapes(network, network.config.clip_len, network.config.input.crop_size)
    kinds = ("_mean", "_max") if pooling == "mean+max" else ("",)
    return [
        f"{stage}{kind}_{channel}"
        for stage in stages
        for kind in kinds
        for channel in range(shapes[stage][0])
    ]
