"""From a model's name, a Hub reference or a path to a verified safetensors file on this disk.

`ensure` takes the weights of a bundled model from where they were installed. Of any other model it
takes the first place that has the weights: the cache, the Hugging Face Hub, the release's
own sources; where none has, its error lists the steps for a person. `decide` says which, and does
nothing; a hit in the cache makes no network call.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..base.errors import CheckpointError, WeightsUnavailableError
from ..registry.config import CONFIG_FILE, WEIGHTS_FILE
from ..registry.entries import ModelEntry
from . import hub_files, release_files
from .cache import Cache, confirm
from .hub_files import HubPlace
from .local_files import LocalWeights, resolve_path, use_bundled

__all__ = [
    "Decision",
    "LocalWeights",
    "decide",
    "ensure",
    "offline_reason",
    "resolve_hub",
    "resolve_path",
    "steps",
]

Action = Literal["use", "hub", "download", "refuse"]
_TRUE = {"1", "ON", "YES", "TRUE"}
_OFFLINE_VARIABLES = ("C3DHUB_OFFLINE", "HF_HUB_OFFLINE")


@dataclass(frozen=True)
class Decision:
    """What to do to get weights, and why."""

    action: Action
    why: str


def decide(
    *,
    cached: bool,
    hub_cached: bool = False,
    on_hub: bool = False,
    sources: int = 0,
    offline: str | None = None,
    tried: Collection[Action] = (),
) -> Decision:
    """Say where a model's weights are to be taken from. Pure: it looks at its arguments alone.

    Parameters
    ----------
    cached: the weights are in our cache.
    hub_cached: the manifest's Hub file is in huggingface_hub's cache.
    on_hub: the manifest names a Hub file.
    sources: how many release sources can be fetched without a person.
    offline: why no request may be made, None where it may.
    tried: actions that were tried and failed.
    """
    if cached:
        return Decision("use", "the weights are in the cache")
    if hub_cached and "hub" not in tried:
        return Decision("hub", "the weights are in huggingface_hub's cache")
    if offline is not None:
        return Decision("refuse", f"the weights are not on this machine and {offline}")
    if on_hub and "hub" not in tried:
        return Decision("hub", "the manifest names a file on the Hub")
    if sources and "download" not in tried:
        return Decision("download", "the release's own file can be fetched")
    if tried:
        return Decision("refuse", "every place that the manifest names has failed")
    return Decision("refuse", "nobody offers the file in a way that needs no person")


def offline_reason(*, local_files_only: bool = False) -> str | None:
    """Return why no request may be made, or None where it may."""
    if local_files_only:
        return "local_files_only=True forbids fetching them"
    for name in _OFFLINE_VARIABLES:
        if os.environ.get(name, "").upper() in _TRUE:
            return f"{name}={os.environ[name]} forbids fetching them"
    return None


def ensure(
    entry: ModelEntry, *, local_files_only: bool = False, progress: bool | None = None
) -> LocalWeights:
    """Return a model's weights, verified; fetches and converts them where they are not here.

    Those of a bundled model are read where they are installed: no cache, no network.

    Parameters
    ----------
    local_files_only : bool, default False
        Make no request; so do ``HF_HUB_OFFLINE=1`` and ``C3DHUB_OFFLINE=1``.
    progress : bool, default None
        None shows a progress line only on a terminal.

    Raises
    ------
    WeightsUnavailableError
        If the weights cannot be had without a person (lists the steps), or the cache cannot be
        written.
    CheckpointError
        If a file is not what it was or what it should be.
    """
    if entry.bundled is not None:
        return use_bundled(entry)
    cache = Cache.default()
    offline = offline_reason(local_files_only=local_files_only)
    with cache.writing():
        if cache.has(entry.name):
            return _use_settled(entry, cache)
        guard: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if offline is None and not _find_on_hub(entry):
            # Two processes that want one model: the second finds it in the cache afterwards.
            guard = cache.lock(entry.name)
        with guard:
            return _obtain(entry, cache, offline, progress)


def _obtain(
    entry: ModelEntry, cache: Cache, offline: str | None, progress: bool | None
) -> LocalWeights:
    failures: dict[Action, WeightsUnavailableError] = {}
    while True:
        decision = decide(
            cached=cache.has(entry.name),
            hub_cached=_find_on_hub(entry) is not None,
            on_hub=entry.hub is not None,
            sources=len(release_files.downloadable(entry.sources)),
            offline=offline,
            tried=tuple(failures),
        )
        try:
            if decision.action == "use":
                return _use(entry, cache)
            if decision.action == "hub":
                return _use_hub(entry, cache, progress)
            if decision.action == "download":
                release_files.fetch_release(entry, cache, progress=progress)
        except WeightsUnavailableError as error:
            failures[decision.action] = error
        if decision.action == "refuse":
            causes = list(failures.values())
            raise WeightsUnavailableError(steps(entry, why=decision.why, failures=causes)) from (
                causes[-1] if causes else None
            )


def _use_settled(entry: ModelEntry, cache: Cache) -> LocalWeights:
    try:
        return _use(entry, cache)
    except CheckpointError:
        # Another process may just be replacing the file and its pin; wait until it is done. Where
        # no lock can be taken nobody can replace anything either.
        with contextlib.suppress(OSError), cache.lock(entry.name):
            pass
        return _use(entry, cache)


def _use(entry: ModelEntry, cache: Cache) -> LocalWeights:
    path = cache.weights(entry.name)
    remedy = (
        f"Remove it with `c3dhub cache remove {entry.name}`, then fetch it again with "
        f"`c3dhub download {entry.name}`"
    )
    sha256 = confirm(cache, entry.name, path, remedy=remedy)
    source = cache.pinned(entry.name).source
    origin = source.location if source else str(path)
    return LocalWeights(path, cache.config(entry.name), origin, entry.name, sha256)


def _find_on_hub(entry: ModelEntry) -> Path | None:
    return None if entry.hub is None else hub_files.find_cached(HubPlace.of(entry.hub))


def _use_hub(entry: ModelEntry, cache: Cache, progress: bool | None) -> LocalWeights:
    assert entry.hub is not None  # decide() chooses the Hub only for entries that are there
    place = HubPlace.of(entry.hub)
    path = _from_hub(place, None, progress)
    found = _confirmed(place, path, cache, known=entry.hub.sha256)
    return replace(found, model=entry.name)


def _confirmed(
    place: HubPlace, path: Path, cache: Cache, *, known: str | None = None
) -> LocalWeights:
    key = str(hub_files.at_commit(place, path))
    remedy = f"Remove it with `c3dhub cache remove {key}`, then fetch it again"
    sha256 = confirm(cache, key, path, remedy=remedy, known=known)
    return LocalWeights(path, None, key, None, sha256)


def resolve_hub(
    reference: str, *, local_files_only: bool = False, progress: bool | None = None
) -> LocalWeights:
    """Return the weights that ``"hf://org/repo@revision"`` names, and its config, of one commit.

    What is in huggingface_hub's cache is used without any request, for a branch too: a branch that
    has moved since is not noticed. Remove the old files (``c3dhub cache remove``), or name the new
    commit, to go on.

    Raises
    ------
    ValueError
        If the reference is not of that form.
    WeightsUnavailableError
        If the repository, the revision or one of the two files is not there or cannot be reached.
    CheckpointError
        If the weights of a commit are not those that were seen before.
    """
    repo_id, revision = hub_files.parse_reference(reference)
    offline = offline_reason(local_files_only=local_files_only)
    config_place = HubPlace(repo_id, CONFIG_FILE, revision)
    config = _from_hub(config_place, offline, progress)
    # The branch may move between the two requests; the pair must be of one commit.
    place = replace(hub_files.at_commit(config_place, config), filename=WEIGHTS_FILE)
    weights = _from_hub(place, offline, progress)
    cache = Cache.default()
    with cache.writing():
        return replace(_confirmed(place, weights, cache), config_path=config)


def _from_hub(place: HubPlace, offline: str | None, progress: bool | None) -> Path:
    found = hub_files.find_cached(place)
    if found is not None:
        return found
    if offline is not None:
        raise WeightsUnavailableError(
            f"{place}: not in huggingface_hub's cache and {offline}; fetch it once on a machine "
            "with a network and copy HF_HOME"
        )
    return hub_files.fetch(place, progress=progress)


def steps(entry: ModelEntry, *, why: str, failures: Sequence[WeightsUnavailableError] = ()) -> str:
    """Return the message that tells a person how to get a model's weights."""
    reasons = "".join(f"\n  {line}" for error in failures for line in str(error).splitlines())
    places = [
        f"     {source.page_url}" + (f"  ({source.note})" if source.note else "")
        for source in entry.sources
    ] or ["     (no place is known; ask the authors)"]
    return "\n".join(
        [
            f"{entry.name}: {why}.{reasons}",
            "To get the weights:",
            f"  1. Download {entry.filename} with a browser from one of",
            *places,
            f"  2. Run: c3dhub convert /path/to/{entry.filename} --name {entry.name}",
            "On a machine without a network: do this on another one and copy its cache folder "
            f"({Cache.default().root}), or set C3DHUB_HOME to a copy of it.",
        ]
    )
