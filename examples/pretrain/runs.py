"""A training run on disk: checkpoints that appear whole or not at all, and the log beside them."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from figures import CLASSES
from torch.optim import Optimizer

import c3dhub
from c3dhub.networks import VideoNetwork

_COLUMNS = (
    "step",
    "clips",
    "seconds",
    "lr",
    "loss",
    "accuracy",
    "held_out_loss",
    "held_out_accuracy",
)


@dataclass(frozen=True)
class Recipe:
    """Everything that the weights depend on.

    Parameters
    ----------
    arch, width: the network, see :func:`c3dhub.create_model`.
    seed: of the weights, the clips and the flips.
    clips: to train with, each seen once.
    batch: clips per step.
    optimizer: ``"sgd"`` (Nesterov momentum 0.9) or ``"adamw"``.
    lr: highest learning rate, reached after ``warmup`` (a share of all steps), then a half cosine
        down to 0.
    weight_decay: for convolutions and the head; none for BatchNorm and biases.
    smoothing: of the labels.
    bfloat16: compute under autocast.
    """

    arch: str = "resnet18"
    width: int = 16
    seed: int = 0
    clips: int = 400_000
    batch: int = 32
    optimizer: str = "adamw"
    lr: float = 0.003
    warmup: float = 0.03
    weight_decay: float = 0.02
    smoothing: float = 0.1
    bfloat16: bool = False

    @property
    def steps(self) -> int:
        """Batches in all."""
        return max(1, self.clips // self.batch)


def save(
    path: Path,
    network: VideoNetwork,
    optimizer: Optimizer,
    recipe: Recipe,
    *,
    step: int,
    seconds: float,
) -> None:
    """Write a checkpoint through a temporary file: ``step`` batches are done."""
    state = {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "recipe": asdict(recipe),
        "step": step,
        "seconds": seconds,
    }
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def restore(
    path: Path, network: VideoNetwork, optimizer: Optimizer, recipe: Recipe
) -> tuple[int, float]:
    """Load a checkpoint into network and optimizer; return the steps done and the seconds taken.

    Raises ValueError where it comes from another recipe.
    """
    state: dict[str, Any] = torch.load(path, weights_only=True)
    theirs, ours = state["recipe"], asdict(recipe)
    other = [f"{k} {theirs.get(k)!r}, not {v!r}" for k, v in ours.items() if theirs.get(k) != v]
    if other:
        raise ValueError(
            f"{path} comes from another recipe: {'; '.join(other)}; resume with the options "
            "that it was begun with, or choose an empty folder"
        )
    network.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"])


def export(network: VideoNetwork, folder: Path, *, half: bool) -> None:
    """Write what :func:`c3dhub.load` reads, with the class names.

    ``half`` stores float16, but for vectors: for pixels of 0 to 255 the variances that BatchNorm
    has seen are beyond its range.
    """
    name = f"{network.config.architecture}_figures"
    copy = c3dhub.create_model(
        network.config.architecture,
        num_classes=len(CLASSES),
        device="cpu",
        **_options(network),
    )
    copy.load_state_dict(network.state_dict())
    copy.config = replace(network.config, name=name, classes=CLASSES)
    for weights in (p for p in copy.parameters() if half and p.ndim > 1):
        weights.data = weights.data.half()
    copy.save_pretrained(folder)


def _options(network: VideoNetwork) -> dict[str, Any]:
    return {k: v for k, v in network.config.options.items() if k in ("width", "shortcut")}


class Log:
    """``log.csv``: a row for each stretch of training; rows that a resumed run repeats are cut."""

    def __init__(self, path: Path, *, step: int) -> None:
        self._path = path
        rows = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    def add(self, row: Mapping[str, float]) -> None:
        """Append a row; columns that it leaves out stay empty."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            rounded = {k: round(v, 5) for k, v in row.items()}
            csv.DictWriter(file, _COLUMNS).writerow(rounded)
