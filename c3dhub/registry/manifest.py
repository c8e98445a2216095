"""The registry: reads ``weights_manifest.json`` and answers what it says about every model.

``load_manifest`` gives name -> :class:`ModelEntry`. The file is the one that comes with c3dhub, or
the one that the environment variable ``C3DHUB_MANIFEST`` names. Standard library only: listing
models never imports torch.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from ..base.errors import ManifestError, UnknownModelError, near_matches
from .entries import ModelEntry
from .manifest_file import read_manifest

__all__ = ["ModelEntry", "list_models", "load_manifest", "model_info", "shipped_manifest"]

ENVIRONMENT_VARIABLE = "C3DHUB_MANIFEST"
_ROOM = Path(__file__).resolve().parent


def load_manifest() -> dict[str, ModelEntry]:
    """Return name -> entry of every model, in natural order; a cached file is not read again.

    Raises ManifestError where the file cannot be read or breaks its schema.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if not chosen:
        return shipped_manifest()
    return _read(
        Path(chosen).expanduser().absolute(),
        f"Correct the file, or unset {ENVIRONMENT_VARIABLE} to use c3dhub's own.",
    )


def shipped_manifest() -> dict[str, ModelEntry]:
    """Return what :func:`load_manifest` does, of c3dhub's own file whatever the environment says.

    Raises ManifestError where the file is missing or damaged.
    """
    inside = _ROOM / "weights_manifest.json"
    # A wheel carries the file inside the package; a checkout has it at the top of the repository.
    path = inside if inside.is_file() else _ROOM.parent.parent / "weights_manifest.json"
    return _read(path, "c3dhub's own manifest is missing or damaged: install c3dhub again.")


def _read(path: Path, remedy: str) -> dict[str, ModelEntry]:
    try:
        state = path.stat()
        return dict(_load(path, state.st_mtime_ns, state.st_size))
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    except (ValueError, RecursionError) as error:
        problem = str(error)
    raise ManifestError(f"{path}: {problem}. {remedy}")


def list_models(pattern: str = "*") -> list[str]:
    """Return the names that match a glob pattern, ignoring case, in natural order.

    >>> list_models("resnet1*_kinetics")
    ['resnet18_kinetics', 'resnet101_kinetics', 'resnet152_kinetics']
    """
    if not isinstance(pattern, str):
        raise TypeError(f"pattern is {pattern!r}; it must be text such as 'resnet*'")
    return [name for name in load_manifest() if fnmatchcase(name.lower(), pattern.lower())]


def model_info(name: str) -> ModelEntry:
    """Return the entry of one model. Raises UnknownModelError, which names the near matches."""
    if not isinstance(name, str):
        raise TypeError(f"name is {name!r}; it must be text such as 'resnet50_kinetics'")
    entries = load_manifest()
    if name in entries:
        return entries[name]
    raise UnknownModelError(
        f"no model is called {name!r}.{near_matches(name, entries)} `c3dhub list` shows all names."
    )


@lru_cache(maxsize=8)
def _load(path: Path, _mtime_ns: int, _size: int) -> dict[str, ModelEntry]:
    # Time and size are there for the cache: an edited file is read again.
    return read_manifest(path)
