"""Labelled videos: what is on disk becomes a list, and a list becomes batches of clips.

``items`` says what a list is, ``read`` and ``layouts`` where it comes from, ``batches`` how clips
are read from it. Lists are read without torch; the names that need it are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .checks import check_training
from .dataset import list_subsets, read_dataset
from .holdout import hold_out
from .items import VideoItem, VideoList

if TYPE_CHECKING:
    from .augmentation import Augmentation
    from .batches import ClipBatch, evaluation_batches, training_batches
    from .training_clips import BrokenVideo
    from .views import View

_WITH_TORCH = {
    "Augmentation": "augmentation",
    "BrokenVideo": "training_clips",
    "ClipBatch": "batches",
    "View": "views",
    "evaluation_batches": "batches",
    "training_batches": "batches",
}

__all__ = [
    "Augmentation",
    "BrokenVideo",
    "ClipBatch",
    "VideoItem",
    "VideoList",
    "View",
    "check_training",
    "evaluation_batches",
    "hold_out",
    "list_subsets",
    "read_dataset",
    "training_batches",
]


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module 'c3dhub.learning.datasets' has no attribute {name!r}")
    value = getattr(import_module(f".{_WITH_TORCH[name]}", __name__), name)
    globals()[name] = value
    return value
