"""How good is a network on labelled videos: :func:`evaluate` and what it gives.

``evaluating`` is the story and ``evaluation_result`` what it gives: ``which_videos`` says which
videos, ``crops`` which views of a frame there are, ``class_outputs`` matches the data's classes
with the network's, ``accuracy`` counts, ``protocol`` says it in words.
"""

from __future__ import annotations

from .accuracy import Accuracy, label_ranks
from .crops import Crops, CropsTransform
from .evaluating import evaluate
from .evaluation_result import ClassAccuracy, Evaluation, VideoAnswer

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
