"""Checks weights from their bytes: the hash against the pin, the tensors against the config."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from ..base.errors import C3DHubError, CheckpointError
from ..base.files import sha256_of
from ..registry.manifest import load_manifest, model_info
from . import hub_files
from .cache import HUB_PREFIX, Cache
from .hub_files import HubPlace
from .local_files import resolve_path, use_bundled
from .pins import WeightsPin


@dataclass(frozen=True)
class Verdict:
    """What came out for one item: ``ok``, and the hash or what is wrong in ``detail``."""

    item: str
    path: str
    ok: bool
    detail: str


def verify_all(cache: Cache) -> list[Verdict]:
    """Check everything that is here: bundled models, and what is in the cache or pinned."""
    bundled = [entry.name for entry in load_manifest().values() if entry.bundled is not None]
    with cache.writing():
        pinned = [key for key, pins in cache.pins().items() if pins.weights is not None]
        stored = [item.name for item in cache.stored() if item.complete]
    return [verify(key, cache) for key in sorted({*bundled, *stored, *pinned})]


def verify(item: str, cache: Cache) -> Verdict:
    """Check one item: a model's name, ``hf://org/repo@commit/file`` as pinned, or a path.

    Every byte is read. A name or a Hub file is held against its pin (a file without one is pinned
    as it is, as at its first use); a path's tensors are held against its config, key by key.
    """
    path = "-"
    try:
        entry = load_manifest().get(item)
        if entry is not None and entry.bundled is not None:
            path = entry.bundled.path
            weights = use_bundled(entry)
            detail = f"sha256 {weights.sha256}, {weights.origin}"
        elif item.startswith(HUB_PREFIX) or _is_name(item, cache):
            key, found, known = _locate(item, cache)
            path = str(found)
            detail = _check_hash(key, found, cache, known)
        else:
            path = item
            detail = _check_tensors(item)
    except (C3DHubError, OSError) as error:
        return Verdict(item, path, False, str(error))
    return Verdict(item, path, True, detail)


def _is_name(item: str, cache: Cache) -> bool:
    if item in load_manifest() or item in {stored.name for stored in cache.stored()}:
        return True
    looks_like_path = Path(item).exists() or "/" in item or "\\" in item or "." in item
    if not looks_like_path:
        model_info(item)  # raises with the near matches
    return not looks_like_path


def _locate(name: str, cache: Cache) -> tuple[str, Path, str | None]:
    """Return the key of the pin, the file, and its hash where the manifest knows it."""
    if name.startswith(HUB_PREFIX):
        path = hub_files.find_cached(HubPlace.from_key(name))
        if path is None:
            raise CheckpointError(
                "not in huggingface_hub's cache any more; load it to fetch it again"
            )
        return name, path, None
    if cache.has(name):
        return name, cache.weights(name), None
    entry = load_manifest().get(name)
    if entry is not None and entry.hub is not None:
        place = HubPlace.of(entry.hub)
        path = hub_files.find_cached(place)
        if path is not None:
            return str(hub_files.at_commit(place, path)), path, entry.hub.sha256
    raise CheckpointError(f"not in the cache; fetch it with `c3dhub download {name}`")


def _check_hash(key: str, path: Path, cache: Cache, known: str | None) -> str:
    pin = cache.pinned(key).weights
    expected = known or (pin.sha256 if pin else None)
    actual = sha256_of(path)
    if expected is None:
        with cache.writing():
            cache.pin(key, weights=WeightsPin.of(path, sha256=actual))
        return f"sha256 {actual} (not known before, pinned now)"
    if actual != expected:
        if pin is not None:
            # From now on a load hashes the file too, whatever its modification time says.
            with contextlib.suppress(C3DHubError), cache.writing():
                cache.pin(key, weights=replace(pin, mtime_ns=0))
        raise CheckpointError(
            f"expected sha256 {expected}, actual sha256 {actual}; remove it with "
            f"`c3dhub cache remove {key}` and fetch it again"
        )
    return f"sha256 {actual}"


def _check_tensors(path: str) -> str:
    # Start-up time: most checks need no torch, which takes seconds to import.
    import torch

    from .assembling import assemble

    weights = resolve_path(path)
    config = weights.read_config()
    count = len(assemble(config, weights, device=torch.device("cpu")).state_dict())
    return f"sha256 {weights.sha256}, {count} tensors fit {config.architecture}"
