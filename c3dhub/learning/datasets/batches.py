"""A list of labelled videos -> batches of clips, decoded on the fly by worker processes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...base.background import ahead
from ...base.checks import check_whole
from ...clips.rule import ClipRule
from ...registry.config import InputContract
from .augmentation import Augmentation
from .random_numbers import epoch_order, global_batches, share
from .training_clips import ClipReader, Task, TrainingClip
from .video_list import BrokenVideo, VideoList
from .workers import stream

Deal = Literal["parts", "batches"]

_PAPER = Augmentation()
_BATCHES_READY = 2


@dataclass(frozen=True)
class ClipBatch:
    """Clips and their labels, on the CPU, before normalisation.

    Parameters
    ----------
    frames: uint8 (N, T, H, W, 3), scaled and cropped; ``network.transforms.normalize(frames)``
        makes them the network's input, on the network's device. N may be 0.
    labels: int64 (N,).
    positions: int64 (N,), of each clip's video in the list.
    broken: videos that gave no clip.
    warnings: videos that were read, but not without trouble: damaged frames, an early end.
    """

    frames: Tensor
    labels: Tensor
    positions: Tensor
    broken: tuple[BrokenVideo, ...] = ()
    warnings: tuple[BrokenVideo, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def training_batches(
    videos: VideoList,
    *,
    contract: InputContract,
    clip_len: int,
    frame_stride: int = 1,
    batch_size: int,
    seed: int,
    epoch: int,
    workers: int = 0,
    augmentation: Augmentation | None = _PAPER,
    first: int = 0,
    rank: int = 0,
    world_size: int = 1,
    deal: Deal = "parts",
) -> Generator[ClipBatch, None, None]:
    """Yield one epoch: a random clip of every video, in random order.

    A clip is ``clip_len`` frames, ``frame_stride`` apart, at a uniformly random place of the video;
    one that is too short is looped from its beginning. Scale, place and flip of the crop are the
    same for all frames of a clip.

    Parameters
    ----------
    contract: the network's, see :class:`c3dhub.InputContract`.
    batch_size: videos of a batch over all processes. The last batch of an epoch is smaller where
        the rest is, and a batch is smaller by the videos in ``broken``.
    seed, epoch: whole numbers, 0 or more; the same ones give the same batches, whatever ``workers``
        and ``first`` are.
    workers: processes that decode ahead; 0 decodes in this one when a batch is asked for. A script
        that uses workers must do so under ``if __name__ == "__main__":``.
    augmentation: None crops as the contract says, and the random place in time alone is left.
    first: batches to leave out, without decoding them.
    rank, world_size: this process and how many there are. Each reads a part of every batch; the
        parts of all ranks in order are the batch that one process alone would read. Parts differ by
        one video at most, so a loss that is a mean must be weighted by ``len(batch)``; a part may
        be empty.
    deal: ``"batches"`` deals out whole batches instead: number ``n`` of the epoch, ``first``
        ones counted, goes to the process ``n % world_size``.

    Raises
    ------
    ValueError, TypeError: an option is wrong. C3DHubError: a worker process died.
    """
    ClipRule(clip_len=clip_len, frame_stride=frame_stride)  # checks both
    for name, value in (("batch_size", batch_size), ("world_size", world_size)):
        check_whole(name, value, least=1)
    zero_or_more = {"seed": seed, "epoch": epoch, "first": first, "workers": workers, "rank": rank}
    for name, value in zero_or_more.items():
        check_whole(name, value, least=0)
    if rank >= world_size:
        raise ValueError(f"rank is {rank} and world_size {world_size}; ranks begin at 0")
    reader = ClipReader(
        contract, clip_len, frame_stride, seed, epoch, augmentation, threads=1 if workers else 0
    )
    order = epoch_order(len(videos), seed=seed, epoch=epoch)
    batches = global_batches(order, batch_size=batch_size)
    if deal == "parts":
        own = [share(batch, rank=rank, world_size=world_size) for batch in batches[first:]]
    elif deal == "batches":
        own = batches[first + (rank - first) % world_size :: world_size]
    else:
        raise ValueError(f"deal is {deal!r}; it must be 'parts' or 'batches'")
    read = _batches(videos, own, reader, workers)
    return ahead(read, depth=_BATCHES_READY) if workers else read


def _batches(
    videos: VideoList, positions: list[list[int]], reader: ClipReader, workers: int
) -> Generator[ClipBatch, None, None]:
    tasks = [Task(position, videos.items[position]) for batch in positions for position in batch]
    with closing(stream(tasks, reader, workers=workers)) as clips:
        for batch in positions:
            yield _batch(list(islice(clips, len(batch))), reader.shape)


def _batch(clips: Sequence[TrainingClip], shape: tuple[int, ...]) -> ClipBatch:
    frames = [clip.frames for clip in clips if clip.frames is not None]
    tasks = [clip.task for clip in clips if clip.frames is not None]
    return ClipBatch(
        torch.from_numpy(np.stack(frames) if frames else np.empty((0, *shape), np.uint8)),
        torch.tensor([task.item.label for task in tasks], dtype=torch.int64),
        torch.tensor([task.position for task in tasks], dtype=torch.int64),
        tuple(_broken(clip.task, clip.broken) for clip in clips if clip.broken is not None),
        tuple(_broken(clip.task, text) for clip in clips for text in clip.warnings),
    )


def _broken(task: Task, reason: str) -> BrokenVideo:
    return BrokenVideo(str(task.item.path), reason, task.position)
