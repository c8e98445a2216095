"""Prepared OpenVINO models on disk, so that the second start is quick.

::

    $C3DHUB_HOME/openvino/<key>/     model.xml + model.bin + entry.json

The key is a hash of everything that decides the content: weights, architecture, precision,
calibration, versions. ``entry.json`` holds the hashes of both files; what does not agree with them
is made again, never used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...base.files import sha256_of

FORMAT = 1
_FILES = ("model.xml", "model.bin")
_ENTRY = "entry.json"

logger = logging.getLogger(__name__)


def stored_or_made(root: Path, recipe: Mapping[str, Any], make: Callable[[], Any]) -> Any:
    """Return the ``openvino.Model`` of ``recipe`` from below ``root``, or make and store it.

    A folder that cannot be written costs the next start its quickness and nothing else: that is
    logged as a warning.
    """
    folder = root / _key(recipe)
    model = _read(folder)
    if model is None:
        model = make()
        try:
            _write(folder, recipe, model)
        except OSError as error:
            logger.warning("%s: the prepared model cannot be kept: %s", folder, error)
    return model


def _key(recipe: Mapping[str, Any]) -> str:
    text = json.dumps({"format": FORMAT, **recipe}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _read(folder: Path) -> Any:
    """Return the stored model, None where there is none that is whole."""
    import openvino  # optional package

    entry = folder / _ENTRY
    if not entry.is_file():
        return None
    try:
        hashes = json.loads(entry.read_text(encoding="utf-8"))["sha256"]
        damaged = [name for name in _FILES if sha256_of(folder / name) != hashes[name]]
        if not damaged:
            # Read, not mapped: a file that another process replaces must not change under us.
            core = openvino.Core()
            core.set_property({"ENABLE_MMAP": False})
            return core.read_model(folder / _FILES[0])
        reason = f"{' and '.join(damaged)} changed"
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        reason = "it cannot be read"
    logger.warning("%s is damaged (%s) and is made again", folder, reason)
    return None


def _write(folder: Path, recipe: Mapping[str, Any], model: Any) -> None:
    import openvino  # optional package

    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        try:
            openvino.save_model(model, fresh / _FILES[0], compress_to_fp16=False)
        except RuntimeError as error:  # how OpenVINO reports a full disk
            raise OSError("OpenVINO cannot write it; is the disk full?") from error
        hashes = {name: sha256_of(fresh / name) for name in _FILES}
        entry = {"recipe": dict(recipe), "sha256": hashes}
        (fresh / _ENTRY).write_text(json.dumps(entry, indent=2), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        fresh.replace(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster, with the same content
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
