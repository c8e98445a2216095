"""Checkpoints: network, momentum and state of a run, on disk together or not at all."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.optim import SGD

from ...base.errors import TrainingError
from ...base.files import atomic_folder, atomic_path
from ...networks import VideoNetwork
from ...networks.saving import write_safetensors
from ...registry.config import WEIGHTS_FILE
from .folder import CHECKPOINTS
from .state import State

MOMENTUM_FILE = "momentum.safetensors"
STATE_FILE = "state.json"


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
    remove_older(folder)


def remove_older(folder: Path) -> None:
    """Leave only the newest checkpoint; a killed run may have left others, or half of one."""
    kept = newest(folder)
    for path in (folder / CHECKPOINTS).glob("*"):
        if path != kept:
            shutil.rmtree(path, ignore_errors=True)


def read_state(checkpoint: Path) -> State:
    """Return the state in a checkpoint. Raises TrainingError where it cannot be read."""
    try:
        return State.from_dict(json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(checkpoint, error) from error


def restore(checkpoint: Path, network: VideoNetwork, optimizer: SGD) -> State:
    """Load a checkpoint into network and optimizer and return its state.

    Raises TrainingError where it cannot be read.
    """
    state = read_state(checkpoint)
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


def _unreadable(checkpoint: Path, error: Exception) -> TrainingError:
    return TrainingError(
        f"{checkpoint}: cannot read the checkpoint: {error}; remove {checkpoint.parent} to begin "
        "this run anew"
    )
