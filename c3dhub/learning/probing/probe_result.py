"""What a probe found: predictions of videos, and the figures that follow from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets import BrokenVideo, VideoItem
from ..intervals import wilson_interval
from ..labelled import reasons, write_csv


@dataclass(frozen=True, eq=False, repr=False)
class ProbeResult:
    """Predictions for videos that the classifier had not seen, and what they add up to.

    Parameters
    ----------
    classes: names in the order of the labels.
    items: the predicted videos, n of them.
    truth, predicted: int64 (n,), labels.
    fold: int64 (n,), the fold in which a video was predicted; all 0 with test videos of their own.
    protocol: in words, what was learned from and what was predicted.
    chosen: for each fold the setting that was taken, such as ``{"C": 0.01}``.
    n_train: videos that were learned from, in all.
    guess: the label that is the most frequent one among the videos learned from.
    settings: model, stages, pooling, clip rule, classifier, seed and so on.
    broken: videos that cannot be read and are left out; positions count those to learn from, then
        those to test with.
    warnings: about videos that were read with difficulty, such as one that breaks off.
    notes: what a reader of the figures should know.
    """

    classes: tuple[str, ...]
    items: tuple[VideoItem, ...]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    fold: NDArray[np.int64]
    protocol: str
    chosen: tuple[Mapping[str, float], ...]
    n_train: int
    guess: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    broken: tuple[BrokenVideo, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"ProbeResult({self.accuracy:.1%} of {len(self)} videos, 95 % interval {low:.1%} to "
            f"{high:.1%}, chance {self.chance:.1%}; {self.protocol})"
        )

    @property
    def n_correct(self) -> int:
        """How many videos were predicted right."""
        return int((self.truth == self.predicted).sum())

    @property
    def accuracy(self) -> float:
        """Share of videos predicted right, 0 to 1."""
        return self.n_correct / len(self)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy, see :func:`wilson_interval`."""
        return wilson_interval(self.n_correct, len(self))

    @property
    def chance(self) -> float:
        """Share that is right by always naming the most frequent class of the videos learned."""
        return float((self.truth == self.guess).mean())

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many videos of each class were predicted, int64 (K,)."""
        return np.bincount(self.truth, minlength=len(self.classes))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of each class's videos that were predicted right, (K,); NaN where there is none."""
        with np.errstate(invalid="ignore"):  # 0 of 0
            return np.diagonal(self.confusion) / self.counts

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How often the class of the row was predicted as that of the column, int64 (K, K)."""
        table = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(table, (self.truth, self.predicted), 1)
        return table

    def top_confusions(self, *, most: int = 10) -> list[tuple[str, str, int]]:
        """Return (true class, predicted class, how often) of the most frequent mistakes."""
        table = self.confusion
        np.fill_diagonal(table, 0)
        order = np.argsort(-table, axis=None, kind="stable")[:most]
        pairs = [divmod(int(place), len(self.classes)) for place in order]
        return [
            (self.classes[i], self.classes[j], int(table[i, j])) for i, j in pairs if table[i, j]
        ]

    def write_confusion(self, path: str | Path) -> Path:
        """Write the confusion matrix as CSV, rows and columns with class names. Raises OSError."""
        counts = zip(self.classes, self.confusion.tolist(), strict=True)
        rows = [["true \\ predicted", *self.classes], *([name, *row] for name, row in counts)]
        return write_csv(path, rows)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON; recalls that do not exist are None."""
        return {
            "accuracy": self.accuracy,
            "interval_95": list(self.interval),
            "n_videos": len(self),
            "n_correct": self.n_correct,
            "n_train": self.n_train,
            "chance": self.chance,
            "protocol": self.protocol,
            "chosen": [dict(setting) for setting in self.chosen],
            "settings": dict(self.settings),
            "classes": list(self.classes),
            "recall": [None if math.isnan(value) else value for value in self.recall.tolist()],
            "confusion": self.confusion.tolist(),
            "videos": self._videos(),
            "broken": reasons(self.broken),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    def _videos(self) -> list[dict[str, Any]]:
        answers = zip(self.items, self.predicted.tolist(), self.fold.tolist(), strict=True)
        return [
            {
                "path": str(item.path),
                "start": item.start,
                "end": item.end,
                "group": item.group,
                "label": self.classes[item.label],
                "predicted": self.classes[guess],
                "fold": fold,
            }
            for item, guess, fold in answers
        ]
