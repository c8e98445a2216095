"""Deterministic weights and checkpoint files in the released formats, for tests.

``tests/golden/checkpoints.json.gz`` lists the keys and shapes of the 40 released files. The
weights below are a function of each tensor's name alone, so that the outputs in
``tests/golden/*.npz``, computed once with other implementations, can be reproduced.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class ReleasedFile:
    """One released checkpoint; ``keys`` are its keys and shapes without ``prefix``."""

    name: str
    era: str
    frames: int
    prefix: str
    keys: Mapping[str, tuple[int, ...]]


@functools.cache
def released_files() -> Mapping[str, ReleasedFile]:
    """Return the listing of the 40 files by file name."""
    with gzip.open(GOLDEN / "checkpoints.json.gz", "rt", encoding="utf-8") as file:
        listing = json.load(file)
    return {
        name: ReleasedFile(
            name=name,
            era=entry["era"],
            frames=entry["frames"],
            prefix=entry["prefix"],
            keys={key: tuple(shape) for key, shape in entry["keys"].items()},
        )
        for name, entry in listing.items()
    }


def deterministic_tensor(key: str, shape: Sequence[int]) -> Tensor:
    """Return the tensor that the golden outputs were computed with: float32, or int64 zero."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(tuple(shape), dtype=torch.int64)
    g = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    if key.endswith(".running_var"):
        values = g.uniform(0.5, 1.5, shape)
    elif key.endswith(".running_mean"):
        values = g.normal(0, 0.1, shape)
    elif key.endswith(".bias"):
        values = g.normal(0, 0.05, shape)
    elif len(shape) == 1:
        values = g.uniform(0.8, 1.2, shape)
    else:
        values = g.normal(0, sqrt(2 / prod(shape[1:])), shape)
    return torch.from_numpy(values.astype(np.float32))


def deterministic_state(keys: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Return one tensor per key of a listing; keys are the file's own, without its prefix."""
    # numpy draws without the interpreter's lock, so that threads share the work.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(keys, pool.map(deterministic_tensor, keys, keys.values()), strict=True))


def golden_input(frames: int) -> Tensor:
    """Return the clip that the golden outputs were computed from: (1, 3, frames, 112, 112)."""
    g = np.random.Generator(np.random.PCG64(0))
    return torch.from_numpy(g.normal(0, 1, (1, 3, frames, 112, 112)).astype(np.float32))


def write_checkpoint(
    path: str | Path,
    file_name: str,
    *,
    legacy: bool = False,
    bare: bool = False,
    prefix: str | None = None,
) -> Path:
    """Write the released file ``file_name`` with deterministic weights to ``path``.

    Parameters
    ----------
    legacy: torch's format from before its zip files.
    bare: the state dict alone rather than ``{"epoch", "arch", "state_dict", "optimizer"}``.
    prefix: of every key; None takes the one of the listing, e.g. ``"module."``.
    """
    released = released_files()[file_name]
    prefix = released.prefix if prefix is None else prefix
    state = {prefix + key: value for key, value in deterministic_state(released.keys).items()}
    whole = {
        "epoch": 200,
        "arch": file_name.removesuffix(".pth"),
        "state_dict": state,
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    }
    torch.save(state if bare else whole, path, _use_new_zipfile_serialization=not legacy)
    return Path(path)
