"""One labelled video -> a random clip of it, for training.

Frames are scaled as they come, so that no more than one clip of small frames is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...base.errors import VideoError
from ...clips.transforms import ClipTransform, bilinear
from ...registry.config import InputContract
from ...video import Frame, Video, open_video
from .augmentation import Augmentation, Cut
from .random_numbers import numbers_for
from .video_list import VideoItem

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Task:
    """One video to read: its position in the list, and what the list says of it."""

    position: int
    item: VideoItem

    def __str__(self) -> str:
        return str(self.item.path)


@dataclass(frozen=True)
class TrainingClip:
    """What reading a video gave.

    Parameters
    ----------
    task: the video.
    frames: uint8 (T, H, W, 3), or None where there is no clip.
    broken: why there is none.
    warnings: what was wrong with a video that was read all the same.
    """

    task: Task
    frames: Pixels | None = None
    broken: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipReader:
    """Reads one random clip of a video.

    The random numbers are those of (seed, epoch, position) alone.
    """

    contract: InputContract
    clip_len: int
    frame_stride: int
    seed: int
    epoch: int
    augmentation: Augmentation | None
    threads: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of a clip, (T, H, W, 3)."""
        return self.clip_len, self.contract.crop_size, self.contract.crop_size, 3

    def __call__(self, task: Task) -> TrainingClip:
        time, *space = numbers_for(self.seed, self.epoch, task.position, count=4)
        cut = None if self.augmentation is None else self.augmentation.draw(space)
        try:
            frames, warnings = self._read(task.item, time, cut)
        except VideoError as error:
            return TrainingClip(task, broken=error.reason)
        return TrainingClip(task, frames, warnings=warnings)

    def _read(
        self, item: VideoItem, time: float, cut: Cut | None
    ) -> tuple[Pixels, tuple[str, ...]]:
        """Return uint8 (T, H, W, 3) and what the decoder warned of."""
        span = (self.clip_len - 1) * self.frame_stride + 1
        warnings: dict[str, None] = {}
        count: int | None = None
        while True:
            with open_video(item.path, threads=self.threads) as video:
                count = self._count(video, item) if count is None else count
                first = int(time * max(count - span + 1, 1))
                window = _Window(item, first, span, self.frame_stride)
                images = [self._scaled(video, frame, cut) for frame in window.frames(video)]
            warnings.update(dict.fromkeys(video.warnings))
            if window.is_complete or first == 0:
                break
            # There are fewer frames than the header promises: the same draw among those.
            count = min(window.seen, count - 1)
        if not images:
            raise VideoError(
                item.path,
                f"no frame lies between start={item.start} and end={item.end} (seconds): choose a "
                "span inside the video",
            )
        looped = [images[k % len(images)] for k in range(self.clip_len)]
        return np.stack(looped), tuple(warnings)

    def _count(self, video: Video, item: VideoItem) -> int:
        """Return how many frames there are to choose from; more only where the header is wrong."""
        if item.start is None and item.end is None and video.expected_frames:
            return video.expected_frames
        # Nothing is decoded for this where the format allows it.
        window = _Window(item, 0, 0, 1)
        with open_video(item.path, threads=self.threads) as again:
            for _ in window.frames(again):
                pass
        return window.seen

    def _scaled(self, video: Video, frame: Frame, cut: Cut | None) -> Pixels:
        image = frame.to_rgb()
        try:
            if cut is not None:
                return cut_frame(image, cut, self.contract)
            return np.asarray(ClipTransform(self.contract).resize(image[None])[0])
        except ValueError as error:
            raise VideoError(video.name, f"frame {frame.index}: {error}") from error


def cut_frame(image: Pixels, cut: Cut, contract: InputContract) -> Pixels:
    """Cut a frame uint8 (H, W, 3) and scale the part to uint8 (crop_size, crop_size, 3).

    The filter is that of the contract, so that frames look as they will when the network is used.
    """
    box = cut.box(image.shape[0], image.shape[1], contract)
    part = image[box.top : box.top + box.height, box.left : box.left + box.width]
    size = (contract.crop_size, contract.crop_size)
    if part.shape[:2] != size:
        planes = torch.from_numpy(np.ascontiguousarray(part)).permute(2, 0, 1)[None]
        part = bilinear(planes, size, antialias=contract.antialias)[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(part[:, ::-1] if cut.is_flipped else part)


class _Window:
    """The frames ``first``, ``first + stride``, ... of an item, fewer than ``first + span``.

    Frames are counted from the item's start. With ``span`` 0 all are counted and none is given.
    """

    def __init__(self, item: VideoItem, first: int, span: int, stride: int) -> None:
        self._start, self._end = item.span
        self.seen = 0
        self._wanted = range(first, first + span, stride)
        self._asked = 0

    @property
    def is_complete(self) -> bool:
        """Return whether every frame of the window was seen."""
        return self.seen > self._wanted[-1] if self._wanted else True

    def frames(self, video: Video) -> Iterator[Frame]:
        """Yield the frames of the window, and read no further."""
        with closing(iter(video.frames(needed=self._is_needed))) as frames:  # type: ignore[type-var]
            for frame in frames:
                if frame.seconds >= self._end or (self._wanted and self.is_complete):
                    return
                if frame.seconds < self._start:
                    continue
                self.seen += 1
                if self.seen - 1 in self._wanted:
                    yield frame

    def _is_needed(self, seconds: float, end_seconds: float) -> bool:
        # Called for each frame in order, some time before the frame comes.
        if not self._start <= seconds < self._end:
            return False
        self._asked += 1
        return self._asked - 1 in self._wanted
