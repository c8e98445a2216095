"""The video that comes with c3dhub: rendered people who do nine things, one after the other.

Standard library only. ``examples/pretrain/sample.py`` in the repository draws it; its licence is
c3dhub's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import C3DHubError

_FOLDER = Path(__file__).resolve().parent / "bundled" / "sample"


@dataclass(frozen=True)
class Shown:
    """What the sample video shows from ``start_seconds`` until before ``end_seconds``."""

    label: str
    start_seconds: float
    end_seconds: float


def sample_video() -> Path:
    """Return the path of the sample video: 11.7 s, 320x240, 15 frames per second, H.264.

    Raises C3DHubError where this installation has lost it.
    """
    return _present(_FOLDER / "sample.mp4")


def sample_shown() -> tuple[Shown, ...]:
    """Return what the sample video shows, in order, without gaps."""
    text = _present(_FOLDER / "sample.json").read_text(encoding="utf-8")
    return tuple(Shown(**row) for row in json.loads(text)["shown"])


def _present(path: Path) -> Path:
    if not path.is_file():
        raise C3DHubError(f"{path}: this file of c3dhub is missing; install c3dhub again")
    return path
