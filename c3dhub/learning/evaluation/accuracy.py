"""Scores -> accuracies: top-1, top-5, their mean, and how sure one can be of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 5


@dataclass(frozen=True)
class Accuracy:
    """Shares of right answers, in 0..1.

    Parameters
    ----------
    n: how many answers were counted.
    top1: share whose best class is the label.
    top5: share whose five best classes have the label among them; None below five classes.
    """

    n: int
    top1: float
    top5: float | None

    @property
    def average(self) -> float | None:
        """Mean of top-1 and top-5, the figure of arXiv:1711.09577 for Kinetics; None without."""
        return None if self.top5 is None else (self.top1 + self.top5) / 2

    @classmethod
    def of(cls, ranks: NDArray[np.int64], *, num_classes: int) -> Accuracy:
        """Return the accuracy of answers in which the label has these :func:`ranks`, int (n,)."""
        if len(ranks) == 0:
            raise ValueError("ranks is empty; an accuracy needs at least one answer")
        top5 = float((ranks < MOST).mean()) if num_classes >= MOST else None
        return cls(n=len(ranks), top1=float((ranks == 0).mean()), top5=top5)


def label_ranks(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at which place each label comes, 0 being the best, int64 (n,).

    Parameters
    ----------
    scores: (n, num_classes). Equal scores go in the order of the classes, as in
        :func:`c3dhub.classify`, so that a network that answers nothing gets no credit for it.
    labels: (n,).
    """
    own = scores[np.arange(len(labels)), labels][:, None]  # (n, 1)
    earlier = np.arange(scores.shape[1])[None] < labels[:, None]  # (n, num_classes)
    before = (scores > own) | ((scores == own) & earlier)
    return np.asarray(before.sum(axis=1), np.int64)
