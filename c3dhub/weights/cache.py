"""The folder where weights live.

::

    $C3DHUB_HOME                     default: $XDG_CACHE_HOME/c3dhub, else ~/.cache/c3dhub
    ├── models/<name>/               model.safetensors + config.json, complete or not there
    ├── downloads/<name>/            released files on their way; partial ones are resumed
    ├── openvino/<key>/              networks prepared for OpenVINO, see extraction/engines
    ├── features/                     frozen features of videos, see learning/probing
    ├── locks/                       one per model: who holds it may fetch and replace
    └── lock.json                    the pinned hashes, see pins.py

Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..base.errors import CheckpointError, WeightsUnavailableError
from ..base.files import sha256_of
from ..base.places import cache_home
from ..registry.config import CONFIG_FILE, WEIGHTS_FILE
from .pins import Pins, SourcePin, WeightsPin, read_pins, write_pins

HUB_PREFIX = "hf://"
# How long another process may hold a lock before we say that we wait for it.
_QUIET_SECONDS = 0.5

_PLAIN = re.compile(r"[A-Za-z0-9][\w.+-]{0,127}", re.ASCII)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """What the cache holds of one model; sizes in bytes.

    ``complete`` says that it can be loaded; ``partial_size`` is what released files on their way
    take.
    """

    name: str
    complete: bool
    size: int
    partial_size: int


@dataclass(frozen=True)
class Cache:
    """The cache below ``root``: paths, locks, pins."""

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """Return the cache at `cache_home`."""
        return cls(cache_home())

    def folder(self, name: str) -> Path:
        """Return the folder of one model's weights. Raises ValueError for a name with a path."""
        return self.root / "models" / _plain(name)

    def weights(self, name: str) -> Path:
        return self.folder(name) / WEIGHTS_FILE

    def config(self, name: str) -> Path:
        return self.folder(name) / CONFIG_FILE

    def downloads(self, name: str) -> Path:
        return self.root / "downloads" / _plain(name)

    @property
    def prepared(self) -> Path:
        """The folder of networks prepared for OpenVINO; safe to remove, they are made again."""
        return self.root / "openvino"

    @property
    def features(self) -> Path:
        """The folder of videos' frozen features; safe to remove, they are made again."""
        return self.root / "features"

    def staging(self, name: str) -> Path:
        """Return the folder where new weights are written before they replace the old."""
        return self.root / "models" / f".new-{_plain(name)}"

    def has(self, name: str) -> bool:
        """Whether the model's weights and config are there."""
        return self.weights(name).is_file() and self.config(name).is_file()

    def stored(self) -> list[Stored]:
        """Return what lies in the cache, partial downloads included, by name."""
        folders = [*(self.root / "models").glob("*"), *(self.root / "downloads").glob("*")]
        names = {path.name for path in folders if path.is_dir() and _PLAIN.fullmatch(path.name)}
        return [
            Stored(
                name,
                complete=self.has(name),
                size=folder_bytes(self.folder(name)),
                partial_size=folder_bytes(self.downloads(name)),
            )
            for name in sorted(names)
        ]

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of one model; says so where another process makes it wait.

        The lock goes with the process that holds it, so one that was killed blocks nobody. Raises
        OSError where the cache cannot be written.
        """
        with self._hold(f"{_plain(name)}.lock", name):
            yield

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an OSError of using the cache into an error that says what to do."""
        try:
            yield
        except OSError as error:
            raise WeightsUnavailableError(
                f"{self.root}: cannot use the cache: {error.strerror or error}. Free some space "
                "or allow writing there, or set C3DHUB_HOME to a folder on another disk"
            ) from error

    def pins(self) -> dict[str, Pins]:
        """Return key -> pins. Raises CheckpointError where ``lock.json`` is damaged."""
        with self.writing():
            return read_pins(self.root / "lock.json")

    def pinned(self, key: str) -> Pins:
        """Return what is pinned under a model's name or a Hub reference."""
        return self.pins().get(key, Pins())

    def pin(
        self, key: str, *, source: SourcePin | None = None, weights: WeightsPin | None = None
    ) -> None:
        """Record pins under a key; what is None stays as it is. Raises OSError."""
        with self._editing() as pins:
            old = pins.get(key, Pins())
            pins[key] = Pins(source or old.source, weights or old.weights)

    def unpin(self, key: str, *, forget: bool) -> None:
        """Drop the weights' pin of a key; with ``forget`` the source's too. Raises OSError."""
        with self._editing() as pins:
            old = pins.get(key, Pins())
            pins[key] = Pins() if forget else replace(old, weights=None)

    @contextlib.contextmanager
    def _editing(self) -> Iterator[dict[str, Pins]]:
        # No model's name begins with a dot, so this lock is never one of theirs.
        with self._hold(".lock.json.lock", "lock.json"):
            pins = read_pins(self.root / "lock.json")
            before = dict(pins)
            yield pins
            if pins != before:
                write_pins(self.root / "lock.json", pins)

    @contextlib.contextmanager
    def _hold(self, filename: str, what: str) -> Iterator[None]:
        from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # start-up time

        path = self.root / "locks" / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(WeakFileLock(path, timeout=_QUIET_SECONDS))
            except TimeoutError:
                logger.warning("%s: waiting for another process that works on it (%s)", what, path)
                held.enter_context(WeakFileLock(path))
            yield

    def remove(self, name: str, *, forget: bool = False) -> int:
        """Delete a model's weights and partial downloads; returns the bytes that are free now.

        The pin of the released file stays, so that a later download must bring the same file;
        ``forget`` drops it too. Raises WeightsUnavailableError where the folder cannot be written.
        """
        folders = (self.folder(name), self.downloads(name), self.staging(name))
        with self.writing(), self.lock(name):
            freed = sum(folder_bytes(folder) for folder in folders)
            for folder in folders:
                if folder.exists():
                    shutil.rmtree(folder)
            self.unpin(name, forget=forget)
        return freed

    def remove_made(self, folder: Path) -> int:
        """Delete :attr:`prepared` or :attr:`features`; returns the bytes that are free now."""
        with self.writing():
            freed = folder_bytes(folder)
            shutil.rmtree(folder, ignore_errors=not folder.is_dir())
        return freed


def confirm(cache: Cache, key: str, path: Path, *, remedy: str, known: str | None = None) -> str:
    """Return the sha256 of ``path`` after holding it against what is known or pinned under ``key``.

    The file is hashed only where its size or time differ from those at pinning, or where nothing is
    pinned yet; then it is pinned as it is.

    Raises
    ------
    CheckpointError
        If the file is not the one that is known or was pinned.
    """
    pin = cache.pinned(key).weights
    if pin is not None and known in (None, pin.sha256) and pin.describes(path):
        return pin.sha256
    actual = sha256_of(path)
    expected = known or (pin.sha256 if pin else actual)
    if actual != expected:
        raise CheckpointError(
            f"{path}: this file is not the one that was seen before:\n"
            f"  expected sha256 {expected}\n  actual sha256   {actual}\n{remedy}"
        )
    try:
        cache.pin(key, weights=WeightsPin.of(path, sha256=actual))
    except OSError as error:
        logger.info("%s: cannot pin it (%s), so it is hashed at each use", path, error)
    return actual


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below a folder; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _plain(name: str) -> str:
    # Names may come from someone else's manifest or from the command line; they become paths.
    if not _PLAIN.fullmatch(name):
        raise ValueError(
            f"the model name is {name!r}; it must be letters, digits and any of _ . + -, and begin "
            "with a letter or digit"
        )
    return name
