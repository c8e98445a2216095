"""The output folder of a run: what lies where, whether a run may begin or go on, its checkpoints.

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
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.optim import SGD

from ...base.errors import TrainingError
from ...base.files import atomic_folder, atomic_path
from ...base.version import __version__
from ...networks import VideoNetwork
from ...networks.saving import write_safetensors
from ...registry.config import WEIGHTS_FILE
from .recipe import differences
from .state import State

Resume = Literal["auto", "never", "must"]

SETTINGS_FILE = "training.json"
LOG_FILE = "log.csv"
CHECKPOINTS = "checkpoints"
MOMENTUM_FILE = "momentum.safetensors"
STATE_FILE = "state.json"
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


def claim(folder: Path, settings: Mapping[str, Any]) -> tuple[Path | None, State]:
    """Make the folder a run's own and remove what a killed run was writing.

    Raises TrainingError for a run with other ``settings`` (as JSON gives them back), with every one
    that differs, and where the folder cannot be written.

    Returns
    -------
    The checkpoint to go on from, None to begin, and its state.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        _write_settings(path, settings)
    elif other := differences(_read_settings(path), settings):
        raise TrainingError(
            f"{folder} holds a run with other settings: {'; '.join(other)}. Resume with the "
            "settings that it was begun with, or choose another folder"
        )
    for left in folder.iterdir():
        if _is_left_over(left) and left.is_file():
            left.unlink(missing_ok=True)
    _keep_newest(folder)
    checkpoint = newest(folder)
    return checkpoint, State() if checkpoint is None else _read_state(checkpoint)


def newest(folder: Path) -> Path | None:
    """Return the checkpoint of a run's folder that training goes on from, None without any.

    A checkpoint's folder gets its name when it is complete, so that the highest number always is.
    """
    found = [path for path in (folder / CHECKPOINTS).glob("*") if path.name.isdecimal()]
    return max(found, key=lambda path: int(path.name), default=None)


def save(folder: Path, network: VideoNetwork, optimizer: SGD, state: State) -> None:
    """Write a checkpoint and remove those before it."""
    place = folder / CHECKPOINTS
    place.mkdir(exist_ok=True)
    momentum = {
        name: optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in network.named_parameters()
        if optimizer.state.get(parameter, {}).get("momentum_buffer") is not None
    }
    with atomic_folder(place / f"{state.step:06d}") as part:
        network.save_pretrained(part)
        with atomic_path(part / MOMENTUM_FILE) as new, new.open("wb") as stream:
            write_safetensors(stream, momentum, metadata={"format": "pt"})
        with atomic_path(part / STATE_FILE) as new:
            new.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    _keep_newest(folder)


def restore(checkpoint: Path, network: VideoNetwork, optimizer: SGD) -> State:
    """Load a checkpoint into network and optimizer and return its state.

    Raises TrainingError where it cannot be read.
    """
    state = _read_state(checkpoint)
    try:
        network.load_state_dict(load_file(checkpoint / WEIGHTS_FILE))
        momentum = load_file(checkpoint / MOMENTUM_FILE)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise _unreadable(checkpoint, error) from error
    for name, parameter in network.named_parameters():
        if name in momentum:
            # A copy: the file is mapped, and removed with the next checkpoint.
            buffer = momentum[name].to(parameter.device, copy=True)
            optimizer.state[parameter]["momentum_buffer"] = buffer
    return state


def _keep_newest(folder: Path) -> None:
    """Remove all other checkpoints; a killed run may have left some, or half of one."""
    kept = newest(folder)
    for path in (folder / CHECKPOINTS).glob("*"):
        if path != kept:
            shutil.rmtree(path, ignore_errors=True)


def _is_left_over(path: Path) -> bool:
    return path.name.startswith(".") and ".part" in path.name


def _write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    document = {"format": _FORMAT, "c3dhub": __version__, "settings": settings}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as new:
            new.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainingError(
            f"output is {path.parent}, which cannot be written: {error.strerror or error}; choose "
            "another folder"
        ) from error


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


def _read_state(checkpoint: Path) -> State:
    try:
        return State.from_dict(json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(checkpoint, error) from error


def _unreadable(checkpoint: Path, error: Exception) -> TrainingError:
    return TrainingError(
        f"{checkpoint}: cannot read the checkpoint: {error}; remove {checkpoint.parent} to begin "
        "this run anew"
    )
