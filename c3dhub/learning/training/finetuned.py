"""What a finished run left."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ... import hub
from ...networks import VideoNetwork
from .recipe import Recipe
from .state import EpochRow


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
        return hub.load(self.folder, device=device)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, ready for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return plain
