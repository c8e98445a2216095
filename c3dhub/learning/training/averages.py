"""BatchNorm's running averages, the same for any number of processes.

Each micro batch leaves its own mean and variance; when the step is complete they are folded into
the running averages in the order of the micro batches, wherever each of them was computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm


class RunningAverages:
    """The running averages of the BatchNorm layers that are trained.

    Parameters
    ----------
    norms: the layers, in the order of the network.
    """

    def __init__(self, norms: Sequence[_BatchNorm]) -> None:
        self._norms = [norm for norm in norms if norm.running_mean is not None]

    @property
    def length(self) -> int:
        """Numbers that describe one micro batch: a mean and a variance for every channel."""
        return sum(2 * norm.num_features for norm in self._norms)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Within the block a forward pass leaves its own statistics instead of averages.

        On leaving, the averages are what they were before.
        """
        kept = [(b, b.clone()) for norm in self._norms for b in norm.buffers(recurse=False)]
        momenta = [norm.momentum for norm in self._norms]
        for norm in self._norms:
            norm.momentum = 1.0
        try:
            yield
        finally:
            for buffer, value in kept:
                buffer.copy_(value)
            for norm, momentum in zip(self._norms, momenta, strict=True):
                norm.momentum = momentum

    def measured(self) -> Tensor:
        """Return what the last forward pass left, float32 (length,)."""
        parts = [part for norm in self._norms for part in _statistics(norm)]
        return torch.cat(parts) if parts else torch.empty(0)

    def fold(self, rows: Tensor, seen: Sequence[bool]) -> None:
        """Average the micro batches of a step in, in order.

        Parameters
        ----------
        rows: float32 (micro batches, length), what :meth:`measured` gave for each.
        seen: False for a micro batch of which no clip could be read.
        """
        with torch.no_grad():
            for row, there in zip(rows, seen, strict=True):
                if there:
                    self._fold_one(row)

    def _fold_one(self, row: Tensor) -> None:
        begin = 0
        for norm in self._norms:
            weight = _weight(norm)
            for average in _statistics(norm):
                average.lerp_(row[begin : begin + norm.num_features], weight)
                begin += norm.num_features


def _statistics(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _weight(norm: _BatchNorm) -> float:
    """Count one more batch and return its weight in the average, as torch's BatchNorm does."""
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    if norm.momentum is None:  # every batch counts the same
        return 1.0 / int(norm.num_batches_tracked)
    return norm.momentum
