"""The training itself: epochs of steps, validation, and what is kept of each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ...base.errors import TrainingError
from ...base.progress import Progress
from ..datasets import Augmentation, ClipBatch, VideoList, training_batches
from .learner import Learner
from .recipe import Recipe
from .records import Board, write_log
from .run_folder import newest, restore, save
from .schedule import learning_rate
from .state import EpochRow, State, Totals

# As many as the authors' code takes of each validation video.
VAL_CLIPS_PER_VIDEO = 3


@dataclass(frozen=True)
class Job:
    """What a run is given, beside the network.

    Parameters
    ----------
    recipe: how to train.
    train, val: the videos; val is None for no validation.
    folder: the output.
    workers: processes of each training process that decode.
    save_every: steps between checkpoints; there is always one at an epoch's end.
    report: called with a line of text for people.
    warn: called with what went wrong without stopping the run.
    """

    recipe: Recipe
    train: VideoList
    val: VideoList | None
    folder: Path
    workers: int
    save_every: int
    report: Callable[[str], None]
    warn: Callable[[str], None]


class Trainer:
    """A run, from wherever its folder says it is.

    Parameters
    ----------
    learner: the network and its optimizer.
    checkpoint: where to go on, None to begin.
    progress: counts the clips.
    """

    def __init__(
        self, learner: Learner, job: Job, *, checkpoint: Path | None, progress: Progress
    ) -> None:
        self.learner, self.job, self.progress = learner, job, progress
        self.recipe, self.network, self.processes = job.recipe, learner.network, learner.processes
        self.videos = job.train.pick([*range(len(job.train))] * self.recipe.clips_per_video)
        self.state = State()
        if checkpoint is not None:
            self.state = restore(checkpoint, self.network, learner.optimizer)
        self.progress.restart(done=self._clips_due, total=self.recipe.epochs * len(self.videos))
        self._marked = time.monotonic()

    def train(self) -> None:
        """Train to the end of the recipe.

        Raises TrainingError where the loss is not finite or no video can be read.
        """
        leads = self.processes.leads
        if leads:
            write_log(self.job.folder, self.state.history)
        with closing(Board(self.job.folder, step=self.state.step, writes=leads)) as self._board:
            while self.state.epoch < self.recipe.epochs:
                self.progress.label = f"epoch {self.state.epoch + 1} of {self.recipe.epochs}"
                self._train_epoch()
                self._end_epoch()

    @property
    def _micro_batches(self) -> int:
        """Micro batches of an epoch."""
        return math.ceil(len(self.videos) / self.recipe.micro_batch)

    @property
    def _steps(self) -> int:
        """Steps of an epoch."""
        return math.ceil(self._micro_batches / self.recipe.micro_batches)

    @property
    def _clips_due(self) -> int:
        """Clips that were asked for so far, whether or not they could be read."""
        begun = min(self.state.steps_in_epoch * self.recipe.batch_size, len(self.videos))
        return self.state.epoch * len(self.videos) + begun

    def _train_epoch(self) -> None:
        n, first = self.recipe.micro_batches, self.state.steps_in_epoch
        batches = self._batches(
            self.videos,
            epoch=self.state.epoch,
            first=first * n,
            augmentation=self.recipe.augmentation,
        )
        with closing(batches):
            for step in range(first, self._steps):
                members = range(step * n, min((step + 1) * n, self._micro_batches))
                self._step(members, batches)
                is_last = step + 1 == self._steps
                if self.state.step % self.job.save_every == 0 and not is_last:
                    self._save()

    def _batches(
        self, videos: VideoList, *, epoch: int, first: int, augmentation: Augmentation | None
    ) -> Generator[ClipBatch, None, None]:
        """Yield the micro batches of this process; what could not be read is noted."""
        batches = training_batches(
            videos,
            contract=self.network.config.input,
            clip_len=self.recipe.clip_len,
            frame_stride=self.recipe.frame_stride,
            batch_size=self.recipe.micro_batch,
            seed=self.recipe.seed,
            epoch=epoch,
            workers=self.job.workers,
            augmentation=augmentation,
            first=first,
            rank=self.processes.rank,
            world_size=self.processes.count,
            deal="batches",
        )
        with closing(batches):
            for batch in batches:
                self._note_broken((video.path, video.reason) for video in batch.broken)
                yield batch

    def _step(self, members: range, batches: Iterator[ClipBatch]) -> None:
        """Take one step of the optimizer on the micro batches with the numbers ``members``."""
        sums, norm = self.learner.gather(members, batches, epoch=self.state.epoch)
        if sums.clips:
            self._check_finite("loss", sums.loss)
            self._check_finite("gradient", norm)
            self.learner.update(rate=self._rate())
        self.state = replace(
            self.state,
            steps_in_epoch=self.state.steps_in_epoch + 1,
            step=self.state.step + 1,
            clips=self.state.clips + int(sums.clips),
            seconds=self.state.seconds + self._lap(),
            totals=self.state.totals.plus(sums),
        )
        if sums.clips:
            loss, accuracy = sums.means
            values = {"train/loss": loss, "train/accuracy": accuracy, "lr": self.learner.rate}
            self._board.add(self.state.step, values)
        self.progress.update(self._clips_due - self.progress.done)

    def _rate(self) -> float:
        done = self.state.step / (self.recipe.epochs * self._steps)
        return learning_rate(self.recipe, self.state.plateau, done=done)

    def _end_epoch(self) -> None:
        """Validate, log, lower the rate where it is time, and keep what was learned."""
        row = self._row(self._validate())
        loss = row.train_loss if row.val_loss is None else row.val_loss
        met = self.processes.gather(self.state.broken)
        everyone = dict(pair for broken in met for pair in broken)
        self._note_broken(everyone.items())
        self.state = replace(
            self.state,
            epoch=self.state.epoch + 1,
            steps_in_epoch=0,
            seconds=row.seconds,
            plateau=self.state.plateau.after(loss, patience=self.recipe.patience),
            totals=Totals(),
            history=(*self.state.history, row),
            broken=tuple(everyone.items()),  # in the same order in all processes
        )
        self._save(is_best=self.state.best is row)
        if self.processes.leads:
            write_log(self.job.folder, self.state.history)
        values = {"val/loss": row.val_loss, "val/accuracy": row.val_accuracy}
        self._board.add(self.state.step, values)
        self.job.report(row.as_line(epochs=self.recipe.epochs))

    def _row(self, validated: Totals | None) -> EpochRow:
        if not self.state.totals.clips:
            reasons = "; ".join(": ".join(pair) for pair in self.state.broken[:3])
            raise TrainingError(
                f"none of the {len(self.job.train)} training videos could be read: {reasons}"
            )
        loss, accuracy = self.state.totals.means
        val_loss, val_accuracy = (None, None) if validated is None else validated.means
        if val_loss is not None:
            self._check_finite("validation loss", val_loss)
        return EpochRow(
            epoch=self.state.epoch + 1,
            step=self.state.step,
            lr=self.learner.rate,
            train_loss=loss,
            train_accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            clips=self.state.clips,
            seconds=self.state.seconds + self._lap(),
        )

    def _validate(self) -> Totals | None:
        """Return the sums over a few clips of each validation video, the same in every epoch."""
        if self.job.val is None:
            return None
        self.network.eval()
        videos = self.job.val.pick([*range(len(self.job.val))] * VAL_CLIPS_PER_VIDEO)
        sums = Totals()
        with closing(self._batches(videos, epoch=0, first=0, augmentation=None)) as batches:
            for batch in batches:
                if len(batch):
                    sums = sums.plus(self.learner.test(batch))
        sums = self.learner.add_up(sums)
        if not sums.clips:
            raise TrainingError(f"none of the {len(self.job.val)} validation videos could be read")
        return sums

    def _note_broken(self, broken: Iterable[tuple[str, str]]) -> None:
        """Add what is new of (path, reason) to the state, and tell of it."""
        known = dict(self.state.broken)
        for path, reason in broken:
            if path not in known:
                known[path] = reason
                if self.processes.leads:
                    self.job.warn(f"{path}: {reason}; training goes on without it")
        self.state = replace(self.state, broken=tuple(known.items()))

    def _save(self, *, is_best: bool = False) -> None:
        """Write a checkpoint, and before it the network itself where it is the best so far."""
        if self.processes.leads:
            self._check_weights()
            if is_best:
                self.network.save_pretrained(self.job.folder)
            save(self.job.folder, self.network, self.learner.optimizer, self.state)

    def _check_weights(self) -> None:
        """Raise TrainingError rather than keep weights that the last step made infinite."""
        for name, value in self.network.state_dict().items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise self._diverged(f"{name} is not finite")

    def _check_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise self._diverged(f"the {name} is {value}")

    def _diverged(self, what: str) -> TrainingError:
        last = newest(self.job.folder)
        kept = "nothing was kept yet" if last is None else f"{last} holds the last good state"
        return TrainingError(
            f"{what} in epoch {self.state.epoch + 1}, after {self.state.step} steps: training "
            f"diverged; {kept}. Begin again in another folder with a lower lr (--lr) than "
            f"{self.recipe.lr:g}"
        )

    def _lap(self) -> float:
        """Return the seconds since the last call."""
        before, self._marked = self._marked, time.monotonic()
        return self._marked - before
