"""A video, read as clips: the one place where decoder, clip rule and preprocessing meet.

Frames are scaled as they come, so that what waits for its clip is small: about 38 kB a frame,
bounded by the clip rule and not by the length of the video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..base.errors import VideoError
from ..video import Frame, Video
from .rule import ZERO_FRAME, ClipPlanner, ClipRule, ClipWindow
from .sampling import FrameChoice, SampleClock
from .transforms import ClipTransform


@dataclass(frozen=True)
class ClipSpan:
    """Where a clip is: half-open in seconds and in frame numbers, without its padding."""

    start_seconds: float
    end_seconds: float
    start_frame: int
    end_frame: int
    n_valid: int


@dataclass(frozen=True)
class Clip:
    """One clip, ready but for the normalisation: uint8 frames (T, H, W, 3) and where they are."""

    frames: Tensor
    span: ClipSpan


@dataclass(frozen=True)
class _Sample:
    image: Tensor  # uint8 (H, W, 3), scaled and cropped
    seconds: float
    end_seconds: float
    frame: int


def read_clips(video: Video, *, rule: ClipRule, transform: ClipTransform) -> Iterator[Clip]:
    """Yield the clips of ``video`` in order.

    Raises VideoError where no frame can be decoded, or none lies between ``start`` and ``end``.
    """
    planner = ClipPlanner(rule)
    kept: dict[int, _Sample] = {}
    for sample in _samples(video, rule, planner, transform):
        position = planner.n_samples
        if sample is not None:
            kept[position] = sample
        for window in planner.push():
            yield _clip(window, kept)
        for old in [number for number in kept if number < planner.keep_from]:
            del kept[old]
    for window in planner.finish():
        yield _clip(window, kept)


def _samples(
    video: Video, rule: ClipRule, planner: ClipPlanner, transform: ClipTransform
) -> Iterator[_Sample | None]:
    """Yield every sample of the video, None for those that no clip takes."""
    clock = SampleClock(rule)
    count, frame = 0, None
    for frame in video.frames(needed=FrameChoice.of(rule)):
        if clock.is_over(frame.seconds):
            break
        image: Tensor | None = None
        for seconds, end_seconds in clock.samples(frame.seconds, frame.end_seconds):
            count += 1
            if not planner.needs(planner.n_samples):
                yield None
                continue
            image = _scaled(video, frame, transform) if image is None else image
            yield _Sample(image, seconds, end_seconds, frame.index)
    if count == 0:
        last = f"; the last frame seen is at {frame.seconds:.3f} s" if frame is not None else ""
        raise VideoError(
            video.name,
            f"no frame lies between start={rule.start} and end={rule.end} (seconds){last}: "
            "choose a span inside the video",
        )


def _scaled(video: Video, frame: Frame, transform: ClipTransform) -> Tensor:
    try:
        return transform.resize(frame.to_rgb()[None])[0]
    except ValueError as error:
        raise VideoError(video.name, f"frame {frame.index}: {error}") from error


def _clip(window: ClipWindow, kept: dict[int, _Sample]) -> Clip:
    first, last = kept[window.valid[0]], kept[window.valid[-1]]
    black = torch.zeros_like(first.image)
    images = [black if p == ZERO_FRAME else kept[p].image for p in window.positions]
    span = ClipSpan(
        start_seconds=first.seconds,
        end_seconds=last.end_seconds,
        start_frame=first.frame,
        end_frame=last.frame + 1,
        n_valid=window.n_valid,
    )
    return Clip(stacked(images), span)


def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Stack CPU tensors in this thread alone; ``ClipTransform.resize`` says why."""
    return torch.from_numpy(np.stack([tensor.numpy() for tensor in tensors]))
