"""Every error that c3dhub raises on purpose, in one tree.

::

    Exception
    ├── C3DHubError                     something outside the call went wrong
    │   ├── UnknownModelError           (also KeyError) no such model; names the near matches
    │   ├── ManifestError               weights_manifest.json cannot be read or breaks its schema
    │   ├── CheckpointError             a weight file is wrong: its hash, keys, shapes or format
    │   ├── WeightsUnavailableError     weights are not here and cannot be fetched; gives the steps
    │   ├── DatasetError                a list of labelled videos is wrong: files, labels, splits
    │   ├── FeaturesError               a features file cannot be read or written
    │   ├── TrainingError               a training run cannot begin, go on or be resumed
    │   └── VideoError                  a video cannot be read; carries its path and the reason
    ├── ValueError                      an argument has a value that no call could accept
    │   └── UnknownStageError           (also KeyError) a stage that a network or file does not have
    └── TypeError                       an argument has the wrong type

Each message gives the value, the rule that it breaks and the remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class C3DHubError(Exception):
    """Base of all errors that are about models, weights and videos rather than about arguments."""


class UnknownModelError(C3DHubError, KeyError):
    """A model or architecture name that the manifest does not have."""

    def __str__(self) -> str:
        # KeyError would show the repr of the message, quotes and escaped line ends included.
        return str(self.args[0]) if self.args else ""


class ManifestError(C3DHubError):
    """The manifest cannot be read or does not follow its schema."""


class CheckpointError(C3DHubError):
    """A weight file is not what it should be: hash, keys, shapes or format."""


class WeightsUnavailableError(C3DHubError):
    """Weights are neither here nor fetchable; the message lists the steps that get them."""


class DatasetError(C3DHubError):
    """A list of labelled videos cannot be used: missing files, labels, classes or splits.

    ``missing`` holds the path of every video that the list names and that is not there, where that
    is what is wrong; the message shows the first of them.
    """

    def __init__(self, message: str, *, missing: Sequence[Path] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)


class FeaturesError(C3DHubError):
    """A features file cannot be read or written."""


class TrainingError(C3DHubError):
    """A training run cannot begin, go on or be resumed; what was learned is kept on disk."""


class VideoError(C3DHubError):
    """A video cannot be read.

    ``path`` names the video as the caller gave it, ``reason`` says what is wrong with it. Where the
    decoder raised, its error is chained as ``__cause__``.
    """

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[object, str]]:
        # The default would call VideoError(message); workers send these errors between processes.
        return type(self), (self.path, self.reason)


class UnknownStageError(ValueError, KeyError):
    """A stage name that a network, or a features file, does not have."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def near_matches(value: str, known: Iterable[str], *, most: int = 5) -> str:
    """Return `` Did you mean a, b?`` for the known names closest to ``value``, or ``""``."""
    close = difflib.get_close_matches(value, list(known), n=most, cutoff=0.5)
    return f" Did you mean {', '.join(close)}?" if close else ""


def some(texts: Sequence[str], *, most: int, joint: str = ", ") -> str:
    """Return the first ``most`` texts, and how many there are beyond: ``"a, b and 3 more"``."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return joint.join(texts[:most]) + more


def shortened(lines: Sequence[str], *, most: int = 20) -> str:
    """Return the first ``most`` lines, and how many there are beyond."""
    more = [f"  ... and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*lines[:most], *more])
