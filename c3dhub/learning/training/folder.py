"""The output folder of a run: what lies where, and whether a run may begin or go on there.

::

    DIR/training.json         the settings; marks the folder as a run's
    DIR/model.safetensors     the best network so far, with
    DIR/config.json           what c3dhub.load(DIR) needs beside it
    DIR/log.csv               a row for each epoch
    DIR/tensorboard/          where TensorBoard is installed
    DIR/checkpoints/000042/   the run after 42 steps: network, momentum and state together
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ...base.errors import TrainingError
from ...base.files import atomic_path
from ...base.version import __version__
from .recipe import differences

Resume = Literal["auto", "never", "must"]

SETTINGS_FILE = "training.json"
LOG_FILE = "log.csv"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

_FORMAT = 1


def check_output(folder: Path, *, resume: Resume) -> None:
    """Raise TrainingError where no run could be written, before anything else is done.

    Nothing is created. ``folder`` may be missing, empty, or a run's own.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        what = "cannot be written to" if existing.is_dir() else "is no folder"
        raise TrainingError(f"output is {folder}, but {existing} {what}; choose another folder")
    if (folder / SETTINGS_FILE).exists():
        if resume == "never":
            raise TrainingError(
                f"{folder} holds a training run already; choose another folder, or go on with it "
                "by resume='auto' (--resume auto)"
            )
        return
    if folder.is_dir() and any(not _is_left_over(path) for path in folder.iterdir()):
        raise TrainingError(
            f"output is {folder}, which holds other files but no training run; give a new or "
            "empty folder"
        )
    if resume == "must":
        raise TrainingError(
            f"{folder} holds no training run to go on with; resume='auto' (--resume auto) begins "
            "one where there is none"
        )


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder a run's own, or check that it is of a run with the same ``settings`` (JSON).

    Raises TrainingError, with every setting that differs, for a run with others, and where the
    folder cannot be written.
    """
    path = folder / SETTINGS_FILE
    if path.exists():
        other = differences(_read_settings(path), settings)
        if other:
            raise TrainingError(
                f"{folder} holds a run with other settings: {'; '.join(other)}. Resume with the "
                "settings that it was begun with, or choose another folder"
            )
        return
    document = {"format": _FORMAT, "c3dhub": __version__, "settings": settings}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as new:
            new.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainingError(
            f"output is {folder}, which cannot be written: {error.strerror or error}; choose "
            "another folder"
        ) from error


def clear_left_overs(folder: Path) -> None:
    """Remove what a killed run was writing: hidden files that are not whole."""
    for path in folder.iterdir():
        if _is_left_over(path) and path.is_file():
            path.unlink(missing_ok=True)


def _is_left_over(path: Path) -> bool:
    return path.name.startswith(".") and ".part" in path.name


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT:
            raise ValueError(f"its format is {document['format']}, not {_FORMAT}")
        return dict(document["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{path}: cannot read the settings of the run: {error}; choose another folder"
        ) from error
