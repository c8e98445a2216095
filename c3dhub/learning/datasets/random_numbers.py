"""Random numbers that depend on seed, epoch and video alone, and who reads what.

Nothing is drawn one after the other: each video has a stream of its own, so that batches are the
same for any number of processes and from any batch on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def numbers_for(seed: int, epoch: int, position: int, *, count: int) -> list[float]:
    """Return uniform numbers in [0, 1) for the video at ``position`` of the list."""
    return [float(number) for number in _stream(seed, epoch, position).random(count)]


def epoch_order(n_videos: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the positions 0 to ``n_videos - 1`` in the random order of an epoch."""
    keys = _stream(seed, epoch).random(n_videos)
    return np.argsort(keys, kind="stable").astype(np.int64)


def global_batches(order: NDArray[np.int64], *, batch_size: int) -> list[list[int]]:
    """Cut an order into batches; the last one is smaller where the rest is."""
    starts = range(0, len(order), batch_size)
    return [order[start : start + batch_size].tolist() for start in starts]


def share(batch: Sequence[int], *, rank: int, world_size: int) -> list[int]:
    """Return the part of a global batch that one process reads.

    The parts of all ranks, one after the other, are the batch; their sizes differ by at most one,
    and some are empty where the batch has fewer videos than there are processes.
    """
    first, last = (len(batch) * r // world_size for r in (rank, rank + 1))
    return list(batch[first:last])


def _stream(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))
