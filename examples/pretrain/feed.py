"""Rendered clips as batches, in the same order however many processes render them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from figures import FLIPPED, render
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

HELD_OUT = 1_000_003  # added to the seed of the training clips


class Clips(Dataset[tuple[Tensor, Tensor]]):
    """``clips[index]`` is uint8 (16, 112, 112, 3) and a label, for any index from 0 on."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        frames, label = render(self.seed, index)
        return torch.from_numpy(frames), torch.tensor(label)


class _Turns(Sampler[list[int]]):
    """The indices of each batch from ``first`` to ``last``: each clip is seen once."""

    def __init__(self, size: int, first: int, last: int) -> None:
        self.size, self.first, self.last = size, first, last

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[int]]:
        for batch in range(self.first, self.last):
            yield list(range(batch * self.size, (batch + 1) * self.size))


def batches(
    seed: int, *, size: int, first: int, last: int, workers: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the batches ``first`` to ``last - 1``: uint8 (N, 16, 112, 112, 3) and labels (N,).

    ``workers`` processes render ahead; 0 renders in this one.
    """
    return DataLoader(
        Clips(seed),
        batch_sampler=_Turns(size, first, last),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )


def flip_half(frames: Tensor, labels: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Mirror half of the clips (N, T, H, W, 3), and what is left and right in their labels."""
    generator = torch.Generator().manual_seed((seed << 32) + step)
    flipped = torch.rand(len(frames), generator=generator) < 0.5
    frames = torch.where(flipped.view(-1, 1, 1, 1, 1), frames.flip(3), frames)
    return frames, torch.where(flipped, torch.tensor(FLIPPED)[labels], labels)


def held_out(
    seed: int, count: int, *, size: int, workers: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return about ``count`` clips that no training with ``seed`` ever sees."""
    last = max(1, round(count / size))
    return batches(seed + HELD_OUT, size=size, first=0, last=last, workers=workers)
