"""video -> class names: the mean over clips of the softmax, as the papers evaluate."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from .architectures import VideoNetwork
from .clips import Align, Preset, Tail
from .extract import extract_features
from .inference import Engine, Precision
from .video import Decode, Errors, VideoSource


class Prediction(TypedDict):
    """One class: its name (None where unknown), its index in the logits, its score in 0..1."""

    label: str | None
    index: int
    score: float


def classify(
    video: VideoSource,
    *,
    model: VideoNetwork | str,
    topk: int = 5,
    per_clip: bool = False,
    clip_len: int | None = None,
    clip_stride: int | None = None,
    frame_stride: int = 1,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    tail: Tail = "loop",
    align: Align = "start",
    preset: Preset = "sliding",
    batch_size: int | None = None,
    precision: Precision | None = None,
    engine: Engine | None = None,
    device: str | torch.device | None = None,
    errors: Errors = "raise",
    decode: Decode = "exact",
    progress: bool = False,
) -> list[Any]:
    """Return the ``topk`` most likely classes of a video, best first.

    Parameters
    ----------
    topk: how many classes, at most ``num_classes``.
    per_clip: False gives one list of :class:`Prediction` for the video, scores being the mean over
        clips of the softmax; True gives a dict per clip with ``start_seconds``, ``end_seconds`` and
        ``predictions``.
    others: as in :func:`c3dhub.extract_features`.

    Labels are None where the release has no known class names.
    """
    if not isinstance(model, VideoNetwork):
        from .hub import load  # as in extract_features: only names need the hub

        model = load(model, device=device)
    if not isinstance(topk, int) or isinstance(topk, bool) or not 1 <= topk <= model.num_classes:
        raise ValueError(f"topk is {topk!r}; it must be from 1 to {model.num_classes}")
    features = extract_features(
        video,
        model=model,
        stages=("logits",),
        clip_len=clip_len,
        clip_stride=clip_stride,
        frame_stride=frame_stride,
        fps=fps,
        start=start,
        end=end,
        tail=tail,
        align=align,
        preset=preset,
        batch_size=batch_size,
        precision=precision,
        engine=engine,
        device=device,
        errors=errors,
        decode=decode,
        progress=progress,
    )
    scores = softmax(features["logits"])  # (n_clips, num_classes)
    if per_clip:
        return [
            {
                "start_seconds": float(features.start_seconds[i]),
                "end_seconds": float(features.end_seconds[i]),
                "predictions": top(scores[i], model.classes, topk),
            }
            for i in range(len(features))
        ]
    return top(scores.mean(axis=0), model.classes, topk) if len(features) else []


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
