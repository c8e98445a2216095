"""``c3dhub.finetune``: labelled videos and a pretrained model -> a model of one's own."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import torch

from ...base.checks import check_choice
from ...base.progress import Progress
from ...hub import load
from ...networks import VideoNetwork
from ..datasets import Augmentation
from .distributed import Processes, joined
from .freezing import check_begin_at, trainable_stages, trained_from
from .learner import Learner
from .loop import Job, Trainer
from .mixed_precision import training_precision
from .prepare import Start, Videos, describe, prepare_network, prepare_videos
from .recipe import (
    FINE_TUNING_LR,
    PAPER,
    SCRATCH_LR,
    Recipe,
    Schedule,
    TrainingPrecision,
    check_whole,
    default_micro_batch,
)
from .run_folder import Resume, check_output, claim, newest
from .state import TABLE_HEAD, EpochRow, State


@dataclass(frozen=True)
class FinetuneResult:
    """What a finished run left.

    Parameters
    ----------
    folder: ``c3dhub.load(result.folder)`` gives the best network.
    last: the checkpoint at the end, which ``c3dhub.load`` reads as well.
    recipe: how it was trained.
    classes: names in the order of the logits.
    best: the epoch whose network is kept: the highest validation accuracy, then the lowest loss;
        without validation the last epoch.
    history: a row for each epoch.
    broken: (path, reason) of each video that could not be read.
    was_finished: the run was finished before; nothing was done.
    """

    folder: Path
    last: Path
    recipe: Recipe
    classes: tuple[str, ...]
    best: EpochRow
    history: tuple[EpochRow, ...]
    broken: tuple[tuple[str, str], ...]
    was_finished: bool

    def load(self, *, device: str | torch.device | None = None) -> VideoNetwork:
        """Return the best network, frozen and in eval mode."""
        return load(self.folder, device=device)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, ready for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return plain


def finetune(
    data: Videos,
    *,
    model: str | Path | VideoNetwork,
    output: str | PathLike[str],
    val: Videos | None = None,
    hold_out: float = 0.2,
    begin_at: str | None = None,
    scratch: bool = False,
    epochs: int = 20,
    lr: float | None = None,
    schedule: Schedule = "plateau",
    patience: int = 10,
    batch_size: int = 128,
    micro_batch: int | None = None,
    weight_decay: float = 1e-3,
    momentum: float = 0.9,
    label_smoothing: float = 0.0,
    precision: TrainingPrecision = "float32",
    seed: int = 0,
    clip_len: int | None = None,
    frame_stride: int = 1,
    clips_per_video: int = 1,
    augmentation: Augmentation | None = PAPER,
    workers: int = 0,
    device: str | torch.device | None = None,
    resume: Resume = "auto",
    save_every: int = 100,
    local_files_only: bool = False,
    progress: bool | None = False,
    report: Callable[[str], None] | None = None,
) -> FinetuneResult:
    """Train a model on labelled videos and keep the best network in a folder.

    The defaults are the recipe of Hara et al., CVPR 2018 (see :class:`Recipe`, which explains the
    options that are not explained here). Layers before ``begin_at`` stay as they are, the
    statistics of their BatchNorm included.

    A run that was stopped, even by SIGKILL, goes on from its last checkpoint when the same call is
    made again, and ends with the weights of a run that was left alone (float32 on the same machine
    with the same number of threads). Under ``torchrun`` the processes share each batch out; the
    output folder must be one that all of them see.

    Parameters
    ----------
    data: a :class:`c3dhub.learning.datasets.VideoList`, or what :func:`c3dhub.read_dataset` reads.
    model: what :func:`c3dhub.load` takes, or a network, which is copied. With ``scratch`` also an
        architecture such as ``"resnet18"``.
    output: a new or empty folder, or that of the same run; see
        :mod:`c3dhub.learning.training.run_folder`.
    val: the videos to validate with, after each epoch.
    hold_out: share of ``data`` to validate with where ``val`` is None; 0 trains on all and, for
        want of a validation, keeps the last epoch and lowers the rate by the training loss.
    begin_at: None is conv5_x: ``"layer4"``, for DenseNets ``"denseblock4"``, with ``scratch`` the
        whole network. Any stage, or ``"fc"`` for the classifier alone.
    lr: None is 0.001, with ``scratch`` 0.1.
    micro_batch: None is 16, or the next smaller divisor of ``batch_size``.
    clip_len: None is the model's own.
    workers: processes that decode; 0 decodes in this one.
    device: None takes CUDA, else MPS, else the CPU.
    resume: ``"auto"`` goes on where there is a run and begins one where there is none; ``"must"``
        and ``"never"`` raise TrainingError in the other case.
    save_every: steps between checkpoints; there is one after each epoch, too.
    local_files_only: never touch the network.
    progress: a line on stderr with the time left; None shows it where stderr is a terminal.
    report: called with lines of text for people: the table of epochs, and videos that cannot be
        read. None makes those warnings.

    Raises
    ------
    DatasetError: nothing can be learned from the videos. TrainingError: the output cannot be used,
    holds a run with other settings, or the loss is not finite. ValueError, TypeError: an option is
    wrong. Everything but the loss is checked before training starts.
    """
    check_choice("resume", resume, get_args(Resume))
    check_whole("workers", workers, least=0)
    for name, value in (("save_every", save_every), ("batch_size", batch_size)):
        check_whole(name, value, least=1)
    _check_begin_at_type(begin_at, scratch=scratch)
    recipe = Recipe(
        begin_at=begin_at or "layer4",
        scratch=scratch,
        epochs=epochs,
        lr=(SCRATCH_LR if scratch else FINE_TUNING_LR) if lr is None else lr,
        schedule=schedule,
        patience=patience,
        batch_size=batch_size,
        micro_batch=default_micro_batch(batch_size) if micro_batch is None else micro_batch,
        weight_decay=weight_decay,
        momentum=momentum,
        label_smoothing=label_smoothing,
        precision=precision,
        seed=seed,
        clip_len=16 if clip_len is None else clip_len,
        frame_stride=frame_stride,
        clips_per_video=clips_per_video,
        augmentation=augmentation,
    )
    folder = Path(output)
    train, validation = prepare_videos(data, val, held_out=hold_out, seed=seed)
    with joined(device) as processes:
        processes.lead(lambda: check_output(folder, resume=resume))
        progress = progress if processes.leads else False
        start = prepare_network(
            model,
            classes=train.classes,
            scratch=scratch,
            seed=seed,
            local_files_only=local_files_only,
            progress=progress,
        )
        recipe = _completed(recipe, start.network, begin_at=begin_at, clip_len=clip_len)
        job = Job(
            recipe=recipe,
            train=train,
            val=validation,
            folder=folder,
            workers=workers,
            save_every=save_every,
            report=report if report is not None and processes.leads else lambda text: None,
            warn=report or partial(warnings.warn, stacklevel=2),
        )
        return _run(job, start, processes, progress=progress)


def _run(job: Job, start: Start, processes: Processes, *, progress: bool | None) -> FinetuneResult:
    settings = {
        "recipe": asdict(job.recipe),
        "model": start.base,
        "data": describe(job.train),
        "val": describe(job.val),
    }
    settings = json.loads(json.dumps(settings))  # as they come back from a file
    checkpoint, state = processes.lead(lambda: claim(job.folder, settings))
    was_finished = state.epoch >= job.recipe.epochs
    if was_finished:
        job.report(f"{job.folder}: this run is finished, after {state.epoch} epochs")
    else:
        if checkpoint is not None:
            job.report(f"{job.folder}: goes on after {state.epoch} epochs, {state.step} steps")
        network = start.network
        network.config = replace(
            network.config, clip_len=job.recipe.clip_len, provenance=_provenance(settings)
        )
        state = _train(job, network, processes, checkpoint=checkpoint, progress=progress)
    last, best = newest(job.folder), state.best
    assert last is not None
    assert best is not None
    return FinetuneResult(
        folder=job.folder,
        last=last,
        recipe=job.recipe,
        classes=job.train.classes,
        best=best,
        history=state.history,
        broken=state.broken,
        was_finished=was_finished,
    )


def _train(
    job: Job,
    network: VideoNetwork,
    processes: Processes,
    *,
    checkpoint: Path | None,
    progress: bool | None,
) -> State:
    """Train to the end, leave the caller's random numbers alone and return the last state."""
    device = processes.device
    network.to(device)
    if device.type == "cpu":
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        training_precision(network, job.recipe.precision, device),
        trained_from(network, job.recipe.begin_at) as norms,
        Progress(None, unit="clips", enabled=progress) as line,
    ):
        learner = Learner(network, job.recipe, processes, norms=norms)
        trainer = Trainer(learner, job, checkpoint=checkpoint, progress=line)
        job.report(TABLE_HEAD)
        trainer.train()
    return trainer.state


def _provenance(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what config.json says of where the weights come from; it has the classes itself."""
    data = {name: value for name, value in settings["data"].items() if name != "classes"}
    return {"base": settings["model"], "recipe": settings["recipe"], "data": data}


def _completed(
    recipe: Recipe, network: VideoNetwork, *, begin_at: str | None, clip_len: int | None
) -> Recipe:
    """Return the recipe with what the network decides."""
    if begin_at is None:
        begin_at = trainable_stages(network)[0 if recipe.scratch else -2]
    return replace(
        recipe,
        begin_at=check_begin_at(network, begin_at),
        clip_len=network.config.clip_len if clip_len is None else clip_len,
    )


def _check_begin_at_type(begin_at: str | None, *, scratch: bool) -> None:
    if begin_at is not None and not isinstance(begin_at, str):
        raise TypeError(f"begin_at is {begin_at!r}; it must be a stage's name such as 'layer4'")
    if scratch and begin_at not in (None, "stem"):
        raise ValueError(
            f"begin_at is {begin_at!r} with scratch: random weights are of no use unless they are "
            "trained; leave begin_at out"
        )
