"""``lock.json``: the hashes that were seen first and must not change.

A pin is taken when a file of unknown hash is used for the first time, and every later use is held
against it. ``source`` is the released file that a model was converted from, ``weights`` the
safetensors file that is loaded. Keys are model names, or ``hf://org/repo@commit`` for files that
lie in huggingface_hub's own cache.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..base.errors import CheckpointError
from ..base.files import atomic_path

_VERSION = 1


@dataclass(frozen=True)
class SourcePin:
    """The released file: its name, size in bytes, sha256, and where it came from."""

    filename: str
    size: int
    sha256: str
    location: str


@dataclass(frozen=True)
class WeightsPin:
    """A safetensors file: its sha256, and the size and time at which that hash was computed."""

    sha256: str
    size: int
    mtime_ns: int

    def describes(self, path: Path) -> bool:
        """Whether ``path`` has the recorded size and time, so that hashing it can be saved."""
        return (self.size, self.mtime_ns) == _size_and_time(path)

    @classmethod
    def of(cls, path: Path, *, sha256: str) -> WeightsPin:
        """Return the pin of a file that was just hashed."""
        return cls(sha256, *_size_and_time(path))


@dataclass(frozen=True)
class Pins:
    """What is pinned under one key; each may be None."""

    source: SourcePin | None = None
    weights: WeightsPin | None = None

    def __bool__(self) -> bool:
        return self.source is not None or self.weights is not None


def read_pins(path: Path) -> dict[str, Pins]:
    """Return key -> pins; none where the file does not exist.

    Raises
    ------
    CheckpointError
        If the file is damaged.
    OSError
        If it cannot be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != _VERSION:
            raise ValueError(f"version is {data['version']!r}, this c3dhub reads {_VERSION}")
        return {str(key): _pins(fields) for key, fields in data["pins"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: this is not a lock file of c3dhub ({error!r}); it holds the hashes that "
            "cached weights are checked against. Put a copy back, or delete it: the hashes are "
            "then taken anew from the files as they are"
        ) from error


def write_pins(path: Path, pins: dict[str, Pins]) -> None:
    """Replace the lock file in one step. Raises OSError where that is not possible."""
    entries = {
        key: {name: value for name, value in asdict(pins[key]).items() if value is not None}
        for key in sorted(pins)
        if pins[key]
    }
    text = json.dumps({"version": _VERSION, "pins": entries}, indent=2)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _pins(fields: dict[str, Any]) -> Pins:
    source, weights = fields.get("source"), fields.get("weights")
    pins = Pins(
        None if source is None else SourcePin(**source),
        None if weights is None else WeightsPin(**weights),
    )
    for pin in (pins.source, pins.weights):
        if pin is not None and not isinstance(pin.sha256, str):
            raise TypeError(f"sha256 is {pin.sha256!r}")
    return pins


def _size_and_time(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns
