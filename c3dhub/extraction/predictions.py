"""Logits -> class names with scores."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray


class Prediction(TypedDict):
    """One class: its name (None where unknown), its index in the logits, its score in 0..1."""

    label: str | None
    index: int
    score: float


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the softmax over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def top(
    scores: NDArray[np.float64], classes: tuple[str, ...] | None, topk: int
) -> list[Prediction]:
    """Return the ``topk`` best of ``scores`` (num_classes,), ties in the order of the classes."""
    best = np.argsort(-scores, kind="stable")[:topk]
    return [
        Prediction(
            label=classes[index] if classes else None,
            index=int(index),
            score=float(scores[index]),
        )
        for index in best
    ]
