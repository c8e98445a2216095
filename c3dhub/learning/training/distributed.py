"""The processes that train one network together, as torchrun starts them; or the only one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ...base.devices import best_device, resolve_device
from ...base.errors import TrainingError

T = TypeVar("T")

# A process that waits this long for another one gives up: the other one hangs or is gone.
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Parameters
    ----------
    rank: number of this process, from 0.
    count: how many there are.
    device: where this one computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def add_up(self, values: Tensor) -> Tensor:
        """Replace ``values`` by their sum over all processes, and return it."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def from_leader(self, value: T) -> T:
        """Return the leader's ``value``, which can be pickled, in every process."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """Return the ``value`` of every process, in the order of their ranks."""
        if self.count == 1:
            return [value]
        found: list[T | None] = [None] * self.count
        dist.all_gather_object(found, value)
        return found  # type: ignore[return-value]

    def lead(self, work: Callable[[], T]) -> T:
        """Return in every process what ``work`` gives in the leader; its error is raised in all."""
        outcome: tuple[T | None, Exception | None] = (None, None)
        if self.leads:
            try:
                outcome = (work(), None)
            except Exception as error:  # noqa: BLE001 - raised below, in every process
                outcome = (None, error)
        value, failed = self.from_leader(outcome)
        if failed is not None:
            raise failed
        return value  # type: ignore[return-value]


@contextmanager
def joined(device: str | torch.device | None) -> Iterator[Processes]:
    """Join the processes that torchrun started, if it did; a group that is there is used.

    Parameters
    ----------
    device: None takes a GPU for each process where there are GPUs.
    """
    alone = not dist.is_available() or (not dist.is_initialized() and not _by_torchrun())
    if alone:
        yield Processes(0, 1, resolve_device(device))
        return
    place = _own_device(device)
    begun = not dist.is_initialized()
    if begun:
        backend = "nccl" if place.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), place)
    finally:
        if begun:
            dist.destroy_process_group()


def _by_torchrun() -> bool:
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))


def _own_device(device: str | torch.device | None) -> torch.device:
    wanted = torch.device(best_device() if device is None else device)
    if wanted.type == "mps":
        wanted = torch.device("cpu")  # neither gloo nor nccl serves it
    if wanted.type != "cuda":
        return resolve_device(wanted)
    local = int(os.environ.get("LOCAL_RANK", "0")) if wanted.index is None else wanted.index
    if local >= torch.cuda.device_count():
        raise TrainingError(
            f"process {local} of this machine has no GPU of its own: there are "
            f"{torch.cuda.device_count()}; start as many processes as GPUs (--nproc-per-node)"
        )
    found = torch.device("cuda", local)
    torch.cuda.set_device(found)
    return resolve_device(found)
