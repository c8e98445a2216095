"""Where a training run is: everything beside the weights that it needs to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .schedule import Plateau

TABLE_HEAD = "    epoch        lr  train loss  accuracy    val loss  accuracy"


@dataclass(frozen=True)
class EpochRow:
    """One row of ``log.csv``: what an epoch came to.

    Parameters
    ----------
    epoch: from 1.
    step: steps of the optimizer so far.
    lr: learning rate of the epoch's last step.
    train_loss, train_accuracy: means over the epoch's clips, as they were augmented and as the
        network was when each was its turn; accuracy from 0 to 1.
    val_loss, val_accuracy: means over three clips of each validation video, the same in every
        epoch, at the epoch's end; None without validation.
    clips: clips trained on so far.
    seconds: time spent so far, interruptions left out.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    clips: int
    seconds: float

    @property
    def rank(self) -> tuple[float, float]:
        """What decides which epoch is the best: accuracy, then loss, on the validation videos.

        Without validation the later epoch is the better one.
        """
        if self.val_accuracy is None or self.val_loss is None:
            return (float(self.epoch), 0.0)
        return (self.val_accuracy, -self.val_loss)

    def as_line(self, *, epochs: int) -> str:
        """Return the row of a table for people; :data:`TABLE_HEAD` is its first line."""
        place = f"{self.epoch}/{epochs}"
        train = f"{self.train_loss:11.4f} {self.train_accuracy:9.1%}"
        val = "" if self.val_loss is None else f"{self.val_loss:11.4f} {self.val_accuracy:9.1%}"
        return f"{place:>9} {self.lr:9.2g} {train} {val}".rstrip()


@dataclass(frozen=True)
class Totals:
    """Sums over clips: of their losses, of those classified right, and their number."""

    loss: float = 0.0
    right: float = 0.0
    clips: float = 0.0

    def plus(self, other: Totals) -> Totals:
        return Totals(self.loss + other.loss, self.right + other.right, self.clips + other.clips)

    @property
    def means(self) -> tuple[float, float]:
        """Mean loss and accuracy."""
        return self.loss / self.clips, self.right / self.clips


@dataclass(frozen=True)
class State:
    """The position of a run between two steps.

    Parameters
    ----------
    epoch: complete epochs.
    steps_in_epoch: steps taken of the epoch in progress.
    step: steps in all.
    clips: clips trained on.
    seconds: time spent training and validating.
    plateau: state of the schedule.
    totals: of the epoch in progress.
    history: a row for each complete epoch.
    broken: (path, reason) of each video that could not be read.
    """

    epoch: int = 0
    steps_in_epoch: int = 0
    step: int = 0
    clips: int = 0
    seconds: float = 0.0
    plateau: Plateau = field(default_factory=Plateau)
    totals: Totals = field(default_factory=Totals)
    history: tuple[EpochRow, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()

    @property
    def best(self) -> EpochRow | None:
        """The best epoch so far, the first one of equals; None before the first is complete."""
        return max(self.history, key=lambda row: row.rank, default=None)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> State:
        """Return what ``asdict`` described. Raises KeyError or TypeError for anything else."""
        values = {each.name: data[each.name] for each in fields(cls)}
        values["plateau"] = Plateau(**data["plateau"])
        values["totals"] = Totals(**data["totals"])
        values["history"] = tuple(EpochRow(**row) for row in data["history"])
        values["broken"] = tuple((path, reason) for path, reason in data["broken"])
        return cls(**values)
