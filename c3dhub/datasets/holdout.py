"""Setting some videos of a list aside."""

from __future__ import annotations

from .items import VideoList


def hold_out(
    videos: VideoList, *, fraction: float = 0.2, seed: int = 0
) -> tuple[VideoList, VideoList]:
    """Return (kept, held out)."""
    raise NotImplementedError
