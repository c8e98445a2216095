"""Labelled videos: what is on disk becomes a list, and a list becomes batches of clips.

``video_list`` says what a list is, ``dataset_reading`` and ``layouts`` where it comes from,
``labelled_list`` how rows with names become one, ``batches`` how clips are read from it. Lists are
read without torch; what needs it is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .dataset_reading import list_subsets, read_dataset
from .holdout import hold_out
from .training_checks import check_training
from .video_list import BrokenVideo, VideoItem, VideoList

if TYPE_CHECKING:
    from .augmentation import Augmentation
    from .batches import ClipBatch, training_batches

_WITH_TORCH = {
    "Augmentation": "augmentation",
    "ClipBatch": "batches",
    "training_batches": "batches",
}

__all__ = [
    "Augmentation",
    "BrokenVideo",
    "ClipBatch",
    "VideoItem",
    "VideoList",
    "check_training",
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
