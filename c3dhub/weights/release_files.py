"""A release's own files: fetched, checked, converted, put into the cache, pinned."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import CheckpointError, WeightsUnavailableError
from ..base.files import sha256_of
from ..registry.config import CONFIG_FILE, WEIGHTS_FILE
from ..registry.entries import ModelEntry, Source
from .cache import Cache
from .download import DownloadError, download
from .gdrive import download_from_drive
from .pins import Pins, SourcePin, WeightsPin

if TYPE_CHECKING:
    from .convert import Converted


def downloadable(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return the sources that can be fetched without a person, in their order."""
    return tuple(source for source in sources if source.kind in ("url", "gdrive"))


def fetch_release(entry: ModelEntry, cache: Cache, *, progress: bool | None = None) -> None:
    """Fetch a model's released file from the first source that has it, and put it into the cache.

    The caller holds the model's lock.

    Raises
    ------
    WeightsUnavailableError
        If no source can be reached; says why for each.
    CheckpointError
        If what came is not the released file: its hash, its keys, or the pin of an earlier
        download says so.
    OSError
        If the cache cannot be written.
    """
    from .convert import convert_checkpoint  # start-up time: imports torch

    problems: list[Exception] = []
    for source in downloadable(entry.sources):
        try:
            path, sha256 = _obtain(entry.name, source, cache, progress)
        except DownloadError as error:
            problems.append(error)
            continue
        try:
            _check_known_hashes(path, source, sha256)
            _check_pin(path, entry.name, source, cache, sha256)
            converted = convert_checkpoint(path, name=entry.name, sha256=sha256)
        except CheckpointError as error:
            path.unlink()
            problems.append(CheckpointError(_refusal(entry.name, source, error)))
            problems[-1].__cause__ = error
            continue
        install(converted, cache, location=source.location)
        shutil.rmtree(cache.downloads(entry.name))
        return
    raise _failure(problems)


def convert_into_cache(
    path: str | Path, cache: Cache, *, name: str | None = None
) -> tuple[Converted, WeightsPin, Pins]:
    """Convert a released file that a person fetched, so that its model loads from then on.

    Returns what was converted, the pin of the weights written, and the pins that were there before:
    a person who converts a file means it, so those are replaced.

    Raises
    ------
    CheckpointError, UnknownModelError
        As `c3dhub.weights.convert.convert_checkpoint`.
    WeightsUnavailableError
        If the cache cannot be written.
    """
    from .convert import convert_checkpoint  # start-up time: imports torch

    converted = convert_checkpoint(path, name=name)
    model = converted.entry.name
    with cache.writing(), cache.lock(model):
        before = cache.pinned(model)
        pin = install(converted, cache, location=str(Path(path).absolute()))
    return converted, pin, before


def install(converted: Converted, cache: Cache, *, location: str) -> WeightsPin:
    """Write converted weights into the cache in place of any that are there, and pin them.

    The caller holds the model's lock. Raises OSError where the cache cannot be written.
    """
    from ..networks.saving import write_pretrained  # start-up time: imports torch

    entry = converted.entry
    staging, folder = cache.staging(entry.name), cache.folder(entry.name)
    # A process that was killed here may have left something.
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        weights, _ = write_pretrained(
            converted.state, entry.config, staging, metadata=converted.metadata
        )
        source = SourcePin(
            converted.source.name, converted.source_size, converted.source_sha256, location
        )
        pin = WeightsPin.of(weights, sha256=sha256_of(weights))
        cache.pin(entry.name, source=source, weights=pin)
        folder.mkdir(exist_ok=True)
        # The weights go last: a model is in the cache from the moment when they are.
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            (staging / name).replace(folder / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return pin


def _obtain(name: str, source: Source, cache: Cache, progress: bool | None) -> tuple[Path, str]:
    """Return the released file and its sha256; it may be there from an interrupted call."""
    place = hashlib.sha256(source.location.encode()).hexdigest()[:8]
    path = cache.downloads(name) / place / source.filename
    if path.exists():
        return path, sha256_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fetch = download_from_drive if source.kind == "gdrive" else download
    label = f"{name} ({source.filename})"
    return path, fetch(source.location, path, label=label, progress=progress)


def _check_known_hashes(path: Path, source: Source, sha256: str) -> None:
    known = {"sha256": source.sha256 or source.sha256_prefix, "sha1": source.sha1}
    for algorithm, expected in known.items():
        if expected is None:
            continue
        actual = sha256 if algorithm == "sha256" else sha256_of(path, algorithm=algorithm)
        if not actual.startswith(expected):
            raise CheckpointError(
                f"{source.filename} is not the released file:\n"
                f"  expected {algorithm} {expected}\n  actual {algorithm}   {actual}"
            )


def _check_pin(path: Path, name: str, source: Source, cache: Cache, sha256: str) -> None:
    pin = cache.pinned(name).source
    if pin is not None and pin.sha256 != sha256:
        raise CheckpointError(
            f"{source.filename} is not the file that was fetched for {name} before (from "
            f"{pin.location}):\n"
            f"  expected sha256 {pin.sha256}, {pin.size} bytes\n"
            f"  actual sha256   {sha256}, {path.stat().st_size} bytes\n"
            "Ask those who publish it why it has changed. To accept the new file, run "
            f"`c3dhub cache remove {name} --forget`, then fetch it again"
        )


def _refusal(name: str, source: Source, error: CheckpointError) -> str:
    return (
        f"{source.page_url}: what was fetched from there is not used, and was deleted: {error}\n"
        "A file that you have from elsewhere is taken over by "
        f"`c3dhub convert /path/to/{source.filename} --name {name}`"
    )


def _failure(problems: list[Exception]) -> Exception:
    text = "\n".join(f"- {problem}" for problem in problems)
    wrong = [problem for problem in problems if isinstance(problem, CheckpointError)]
    # A file that is wrong is the more serious news than one that cannot be reached.
    failure = CheckpointError(text[2:]) if wrong else WeightsUnavailableError(text)
    failure.__cause__ = (wrong or problems)[-1]
    return failure
