"""What a run leaves for people: ``log.csv``, and TensorBoard's files where it is installed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..labelled import write_csv
from .run_folder import LOG_FILE, TENSORBOARD
from .state import EpochRow


def write_log(folder: Path, history: Sequence[EpochRow]) -> None:
    """Write ``log.csv`` whole, so that it never holds rows that a resumed run repeats."""
    rows = [
        [f"{value:.8g}" if isinstance(value, float) else value for value in asdict(row).values()]
        for row in history
    ]
    write_csv(folder / LOG_FILE, [[field.name for field in fields(EpochRow)], *rows])


class Board:
    """TensorBoard's curves, or nothing where the package tensorboard is not installed.

    Parameters
    ----------
    folder: the run's.
    step: where the run goes on; what an interrupted run wrote beyond is hidden.
    writes: False makes nothing, too.
    """

    def __init__(self, folder: Path, *, step: int, writes: bool = True) -> None:
        self._writer: Any = None
        if not writes:
            return
        try:
            module = importlib.import_module("torch.utils.tensorboard")
        except ImportError:
            return
        self._writer = module.SummaryWriter(str(folder / TENSORBOARD), purge_step=step or None)

    def add(self, step: int, values: Mapping[str, float | None]) -> None:
        """Add a point to each curve; None adds none."""
        if self._writer is None:
            return
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._writer is not None:
            self._writer.close()
