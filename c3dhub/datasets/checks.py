"""What makes training senseless, found before it starts."""

from __future__ import annotations

from .items import VideoList


def check_training(train: VideoList, val: VideoList | None = None) -> None:
    """Raise DatasetError for lists that nothing can be learned from."""
