"""Files on the Hugging Face Hub: from its local cache without any request, else fetched.

`huggingface_hub.hf_hub_download` asks the Hub at each call for a branch, and where the Hub cannot
be reached it tries again for up to some minutes. So the local cache is looked at first, and one
request of our own, which is not repeated, finds out whether fetching makes sense. Functions
import that package, so that commands which only look at our cache start without it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ..base.errors import WeightsUnavailableError
from ..base.places import hub_endpoint
from ..registry.entries import HubFile
from .cache import HUB_PREFIX
from .connection import ANSWER_SECONDS, CONNECT_SECONDS, within

DEFAULT_REVISION = "main"


@dataclass(frozen=True)
class HubPlace:
    """One file of one revision of a model repository."""

    repo_id: str
    filename: str
    revision: str = DEFAULT_REVISION

    def __str__(self) -> str:
        return f"{HUB_PREFIX}{self.repo_id}@{self.revision}/{self.filename}"

    @classmethod
    def of(cls, file: HubFile) -> HubPlace:
        """Return the place of a file that the manifest names."""
        return cls(file.repo_id, file.filename, file.revision)

    @classmethod
    def from_key(cls, key: str) -> HubPlace:
        """Read back what ``str`` gives."""
        repo_id, _, rest = key.removeprefix(HUB_PREFIX).partition("@")
        revision, _, filename = rest.partition("/")
        return cls(repo_id, filename, revision)


def parse_reference(reference: str) -> tuple[str, str]:
    """Split ``"hf://org/repo@revision"`` into the repository and the revision (``main`` if none).

    Raises
    ------
    ValueError
        If the reference is not of that form.
    """
    match = re.fullmatch(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", reference, re.ASCII)
    if match is None:
        raise ValueError(
            f"{reference!r} is not a reference to the Hub; write hf://org/repo or "
            "hf://org/repo@revision, where the revision is a branch, a tag or a commit"
        )
    return match[1], match[2] or DEFAULT_REVISION


def find_cached(place: HubPlace) -> Path | None:
    """Return the file from huggingface_hub's own cache, or None. Makes no request."""
    # hf_hub_download(local_files_only=True) asks the Hub for other things even on a hit.
    from huggingface_hub import try_to_load_from_cache  # start-up time

    found = try_to_load_from_cache(place.repo_id, place.filename, revision=place.revision)
    return Path(found) if isinstance(found, str) else None


def fetch(place: HubPlace, *, progress: bool | None = None) -> Path:
    """Download a file into huggingface_hub's own cache and return its path there.

    Raises
    ------
    WeightsUnavailableError
        If the Hub cannot be reached (within seconds), the repository, revision or file is not
        there, or it may not be read with the present token.
    """
    from huggingface_hub import hf_hub_download  # start-up time

    try:
        _check_reachable(place)
        with _progress_bars(shown=progress is not False):
            return Path(
                hf_hub_download(
                    place.repo_id,
                    place.filename,
                    revision=place.revision,
                    etag_timeout=CONNECT_SECONDS,
                    endpoint=hub_endpoint(),
                )
            )
    except ValueError:
        raise
    except Exception as error:
        # The errors of huggingface_hub's HTTP client come through, and which client that is differs
        # between its versions; they have no public base.
        raise WeightsUnavailableError(_explained(place, error)) from error


def at_commit(place: HubPlace, path: Path) -> HubPlace:
    """Return the place of a cached file with the commit that it belongs to; its path names it."""
    commit = path.parents[len(PurePosixPath(place.filename).parts) - 1].name
    return replace(place, revision=commit)


def remove_cached(place: HubPlace) -> int:
    """Delete a file from huggingface_hub's cache; returns the bytes that are free now."""
    path = find_cached(place)
    if path is None:
        return 0
    blob = path.resolve()
    size = blob.stat().st_size
    # Other revisions may link to the same content; they find it missing and fetch it again.
    for file in {path, blob}:
        file.unlink()
    return size


def _check_reachable(place: HubPlace) -> None:
    from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url  # start-up time

    url = hf_hub_url(
        place.repo_id, place.filename, revision=place.revision, endpoint=hub_endpoint()
    )
    metadata = within(ANSWER_SECONDS, lambda: get_hf_file_metadata(url, timeout=CONNECT_SECONDS))
    if metadata.xet_file_data is None:
        # Large files lie on another host; when that one is silent the download takes minutes to
        # notice. Any answer will do.
        within(
            ANSWER_SECONDS, lambda: get_session().head(metadata.location, timeout=CONNECT_SECONDS)
        )


@contextlib.contextmanager
def _progress_bars(*, shown: bool) -> Iterator[None]:
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # start-up time
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _explained(place: HubPlace, error: Exception) -> str:
    from huggingface_hub import constants, errors  # start-up time

    endpoint = hub_endpoint() or constants.ENDPOINT
    page = f"{endpoint}/{place.repo_id}"
    # From the special to the general: each of the first four is also one of those after it.
    reasons: list[tuple[type[Exception], str]] = [
        (
            errors.GatedRepoError,
            f"the repository is gated: accept its terms at {page}, then sign in with "
            "`hf auth login` or set HF_TOKEN",
        ),
        (
            errors.RepositoryNotFoundError,
            f"there is no such model repository at {page}, or it is private: check the name, or "
            "sign in with `hf auth login` or set HF_TOKEN",
        ),
        (
            errors.RevisionNotFoundError,
            f"the repository has no revision {place.revision!r}: see {page}/tree/main",
        ),
        (
            errors.EntryNotFoundError,
            f"the repository has no file {place.filename!r} at this revision; a c3dhub model is "
            "model.safetensors with config.json",
        ),
        (errors.HfHubHTTPError, f"{endpoint} answers: {_first_line(error)}"),
    ]
    # A local miss is an EntryNotFoundError as well, but says nothing about the repository.
    local_miss = isinstance(error, errors.LocalEntryNotFoundError)
    for kind, reason in reasons:
        if isinstance(error, kind) and not local_miss:
            return f"{place}: {reason}"
    return f"{place}: cannot fetch it from {endpoint}: {_first_line(error)}"


def _first_line(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
