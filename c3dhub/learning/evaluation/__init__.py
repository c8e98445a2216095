"""How good is a network on labelled videos: :func:`evaluate` and what it gives.

``choice`` says which videos, ``crops`` which views of a frame there are, ``class_outputs`` matches
the data's classes with the network's, ``accuracy`` counts, ``protocol`` says it in words,
``evaluating`` is the story and ``outcome`` what it gives.
"""

from __future__ import annotations

from .accuracy import Accuracy, label_ranks
from .crops import Crops, CropsTransform
from .evaluating import evaluate
from .outcome import ClassAccuracy, Evaluation, VideoAnswer

__all__ = [
    "Accuracy",
    "ClassAccuracy",
    "Crops",
    "CropsTransform",
    "Evaluation",
    "VideoAnswer",
    "evaluate",
    "label_ranks",
]
