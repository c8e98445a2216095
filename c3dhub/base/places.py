"""Where things are: the folder that c3dhub keeps on this disk, and the Hub's address."""

from __future__ import annotations

import os
from pathlib import Path


def cache_home() -> Path:
    """Return the cache folder that the environment asks for; it need not exist."""
    chosen = os.environ.get("C3DHUB_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(above).expanduser().absolute() / "c3dhub"


def hub_endpoint() -> str | None:
    """Return the address of the Hub that HF_ENDPOINT names, None for huggingface.co."""
    # Read now: huggingface_hub reads it once, when it is first imported.
    return (os.environ.get("HF_ENDPOINT") or "").rstrip("/") or None
