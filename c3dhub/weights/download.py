"""Fetch one file over HTTP: resumed after an interruption, never half there.

The bytes gather in ``<target>.part`` beside a small ``<target>.part.json`` that remembers which
version of the file they belong to; only a complete file gets the target's name. A connection that
is refused or cannot be made ends the download at once, a line that breaks in the middle is tried
again from where it broke.

Why not a library: huggingface_hub's downloader serves the Hub alone, and under it lies requests or
httpx, depending on its version.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http
import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..base.errors import WeightsUnavailableError
from ..base.progress import Progress, human_bytes
from ..base.version import __version__
from .connection import Response, open_url

# Attempts in a row that bring nothing new before a download is given up.
ATTEMPTS = 4
RETRY_SECONDS = 1.0
_CHUNK = 1 << 18
_RETRY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


class DownloadError(WeightsUnavailableError):
    """A file cannot be fetched from one place; says from where and why."""


class WebPageError(DownloadError):
    """A web page came instead of the file; ``page`` is its text, ``url`` where it came from."""

    def __init__(self, message: str, *, page: str, url: str) -> None:
        super().__init__(message)
        self.page = page
        self.url = url


class _LineBrokenError(Exception):
    """The transfer ended early for a reason that may pass."""


@dataclass(frozen=True)
class _Version:
    """What tells whether bytes fetched now belong to those fetched before."""

    etag: str | None
    last_modified: str | None
    total: int | None

    @property
    def validator(self) -> str | None:
        """The value for If-Range: a strong ETag, else the date, else None (cannot resume)."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified


class _Part:
    """The unfinished file beside ``target`` and the note that says what it is part of.

    ``digest`` has seen its first ``hashed`` bytes.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self.digest, self.hashed = hashlib.sha256(), 0

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def version(self) -> _Version | None:
        try:
            return _Version(**json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, version: _Version) -> None:
        # The old bytes go first: a note about a newer version must never stand beside them.
        self.drop()
        self.note.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.digest, self.hashed = hashlib.sha256(), 0

    def hash(self, piece: bytes) -> None:
        self.digest.update(piece)
        self.hashed += len(piece)

    def hash_rest(self) -> None:
        """Hash what is there and was not hashed as it came: what an earlier call has left."""
        with self.path.open("rb") as stream:
            stream.seek(self.hashed)
            while piece := stream.read(_CHUNK):
                self.hash(piece)


def download(
    url: str, target: Path, *, label: str | None = None, progress: bool | None = None
) -> str:
    """Fetch ``url`` into ``target``, resuming what an earlier call left unfinished.

    Returns the file's sha256, which is computed as the bytes come.

    Parameters
    ----------
    url : str
        An http or https address. Redirects are followed, but never from https back to http.
    target : Path
        Where the complete file goes; its folder must exist.
    label : str, default the target's name
        What the progress line is called.
    progress : bool, default None
        None shows a progress line only on a terminal.

    Raises
    ------
    DownloadError
        If the address is not http(s), the host cannot be reached (within seconds), the answer is an
        error or a web page, or the line keeps breaking.
    OSError
        If the folder cannot be written or the disk is full.
    """
    check_url(url)
    part = _Part(target)
    with Progress(None, label=label or target.name, enabled=progress) as line:
        _transfer_stubbornly(url, part, line)
    part.hash_rest()
    part.path.replace(target)
    part.note.unlink(missing_ok=True)
    return part.digest.hexdigest()


def check_url(url: str) -> None:
    """Raise DownloadError unless ``url`` is an http or https address with a host."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DownloadError(f"{url}: not an address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DownloadError(f"{url}: only http and https addresses with a host are downloaded")


def _transfer_stubbornly(url: str, part: _Part, line: Progress) -> None:
    furthest, failures = part.size(), 0
    while True:
        try:
            return _transfer(url, part, line)
        except _LineBrokenError as error:
            # Only bytes beyond any earlier attempt count, so that a server that breaks at the same
            # place for ever does not keep us here for ever.
            failures = 0 if part.size() > furthest else failures + 1
            furthest = max(furthest, part.size())
            if failures >= ATTEMPTS:
                raise DownloadError(
                    f"{url}: gave up after {ATTEMPTS} attempts that brought nothing new: {error}; "
                    f"run it again to go on from {human_bytes(part.size())}"
                ) from error.__cause__
            time.sleep(RETRY_SECONDS)


def _transfer(url: str, part: _Part, line: Progress) -> None:
    known = part.version()
    have = part.size()
    if known is None or known.validator is None or (known.total is not None and have > known.total):
        part.drop()
        known, have = None, 0
    elif known.total is not None and have == known.total:
        return
    with contextlib.closing(_open(url, known, part)) as response:
        _refuse_web_page(response, url)
        if response.status == 206 and known is not None:
            _check_range(response, known, have, part)
            total = known.total
        else:
            # 200 to a Range request: the server cannot resume, or the file has changed.
            have, total = 0, _content_length(response)
            part.begin(_Version(response.headers["ETag"], response.headers["Last-Modified"], total))
        _check_space(part, total, have)
        line.restart(done=have, total=total)
        _copy(response, part, line)
    if total is not None and part.size() != total:
        raise _LineBrokenError(f"the connection ended after {part.size()} of {total} bytes")


def _open(url: str, known: _Version | None, part: _Part) -> Response:
    have = part.size()
    request = urllib.request.Request(url, headers={"User-Agent": f"c3dhub/{__version__}"})
    if known is not None and known.validator is not None and have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", known.validator)
    try:
        return open_url(request)
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            reason = f"HTTP status {error.code} {error.reason}"
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                part.drop()
                raise _LineBrokenError("the file is shorter than what is here") from error
            if error.code in _RETRY_STATUSES:
                raise _LineBrokenError(reason) from error
            raise DownloadError(f"{url}: the server answers with {reason}") from error
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, ConnectionResetError | http.client.HTTPException):
            raise _LineBrokenError(f"the connection ended early: {cause!r}") from error
        raise DownloadError(f"{url}: cannot reach {urlsplit(url).hostname}: {cause}") from error


def _refuse_web_page(response: Response, url: str) -> None:
    if response.headers.get_content_type() != "text/html" or "Content-Type" not in response.headers:
        return
    try:
        page = response.read(1 << 20).decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise _LineBrokenError(f"the connection broke: {error!r}") from error
    raise WebPageError(
        f"{url}: the server sends a web page instead of the file; the link may be dead or ask for "
        "a sign-in: open it in a browser",
        page=page,
        url=response.geturl(),
    )


def _check_range(response: Response, known: _Version, have: int, part: _Part) -> None:
    expected = f"bytes {have}-"
    answer = response.headers["Content-Range"] or ""
    total = answer.rpartition("/")[2]
    if answer.startswith(expected) and total in ("*", str(known.total)):
        return
    part.drop()
    raise _LineBrokenError(f"asked for {expected} of {known.total}, the server sends {answer!r}")


def _content_length(response: Response) -> int | None:
    text = response.headers["Content-Length"]
    return int(text) if text and text.isdigit() else None


def _check_space(part: _Part, total: int | None, have: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if total is not None and total - have > free:
        raise OSError(
            errno.ENOSPC,
            f"no space left: {human_bytes(total - have)} are still to come and "
            f"{human_bytes(free)} are free",
            str(part.path),
        )


def _copy(response: Response, part: _Part, line: Progress) -> None:
    with part.path.open("ab") as stream:
        part.hash_rest()
        while True:
            try:
                piece = response.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _LineBrokenError(f"the connection broke: {error!r}") from error
            if not piece:
                return
            stream.write(piece)
            part.hash(piece)
            line.update(len(piece))
