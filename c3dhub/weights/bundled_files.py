"""Weights that come with c3dhub, or beside a manifest of one's own: checked at every use."""

from __future__ import annotations

from pathlib import Path

from ..base.errors import CheckpointError
from ..base.files import sha256_of
from ..registry.entries import ModelEntry
from .local_files import LocalWeights

ORIGIN = "bundled with its manifest"


def use(entry: ModelEntry) -> LocalWeights:
    """Return the weights of a bundled model, verified; nothing is copied or written.

    Such files are a few megabytes, so they are hashed each time: a pin would need a place to write.

    Raises
    ------
    CheckpointError
        If the file is missing, cannot be read, or is not the one that the manifest names.
    """
    assert entry.bundled is not None
    path, expected = Path(entry.bundled.path), entry.bundled.sha256
    remedy = (
        "Install c3dhub again; where the model is one of your own manifest, correct its `bundled`"
    )
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot read the weights of {entry.name}, which come with c3dhub: "
            f"{error.strerror or error}. {remedy}"
        ) from error
    if actual != expected:
        raise CheckpointError(
            f"{path}: these are not the weights of {entry.name} that came with c3dhub:\n"
            f"  expected sha256 {expected}\n  actual sha256   {actual}\n{remedy}"
        )
    return LocalWeights(path, None, ORIGIN, entry.name, expected)
