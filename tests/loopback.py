"""HTTP servers on this machine that behave, and misbehave, as tests need it; they count requests.

`FileServer` serves files with ranges and validators, `DriveServer` puts Google Drive's warning page
before a file, `HubServer` is as much of a Hugging Face Hub as `huggingface_hub` asks for.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """One request that a server has seen."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Loopback:
    """A server in a thread: ``with FileServer() as server: ... server.url``."""

    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Loopback:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._note(self)
                # A client that breaks off is part of some tests.
                with contextlib.suppress(ConnectionError):
                    server.answer(self)

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test output clean."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def count(self, method: str = "GET") -> int:
        """Return how many requests of one method have come."""
        return sum(request.method == method for request in self.requests)

    def _note(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append(Request(handler.command, handler.path, headers))

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        raise NotImplementedError


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    *,
    content_type: str = "application/octet-stream",
    headers: dict[str, str] | None = None,
) -> None:
    """Answer with a whole body; HEAD gets the headers alone."""
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


@dataclass
class FileServer(Loopback):
    """Serves ``files`` (path -> content) and fails as it is told.

    Parameters
    ----------
    ranges: answer Range requests with 206; else the whole file with 200.
    etag, last_modified: the validators; None for the content's hash, ``""`` for no such header.
    breaks: the connection ends after so many bytes of the body, once per item.
    statuses: these go out first, one per request, with no content.
    redirects: path -> where it is moved to.
    length: claim to send Content-Length; else the body ends with the connection.
    content_type: of every file.
    piece, pause: bytes sent at a time and the seconds before each.
    wrong_range: answer a Range request with another range than asked for.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = None
    last_modified: str = "Mon, 01 Jan 2018 00:00:00 GMT"
    breaks: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    length: bool = True
    content_type: str = "application/octet-stream"
    piece: int = 1 << 20
    pause: float = 0.0
    wrong_range: bool = False

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        if self.statuses:
            return send(handler, self.statuses.pop(0))
        if path in self.redirects:
            return send(handler, 302, headers={"Location": self.redirects[path]})
        if path not in self.files:
            return send(handler, 404)
        content = self.files[path]
        etag = f'"{hashlib.md5(content).hexdigest()}"' if self.etag is None else self.etag
        start = self._start(handler, etag)
        if start is not None and start >= len(content):
            return send(handler, 416)
        handler.send_response(200 if start is None else 206)
        body = content[start or 0 :]
        if start is not None:
            shown = start + 1 if self.wrong_range else start
            handler.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Type", self.content_type)
        for name, value in (("ETag", etag), ("Last-Modified", self.last_modified)):
            if value:
                handler.send_header(name, value)
        if self.length:
            handler.send_header("Content-Length", str(len(body)))
        else:
            handler.send_header("Connection", "close")
        handler.end_headers()
        return self._send_body(handler, body)

    def _start(self, handler: BaseHTTPRequestHandler, etag: str) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        condition = handler.headers.get("If-Range")
        if not self.ranges or asked is None or condition not in (None, etag, self.last_modified):
            return None
        return int(asked[1])

    def _send_body(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if handler.command == "HEAD":
            return
        stop = self.breaks.pop(0) if self.breaks else len(body)
        for start in range(0, min(stop, len(body)), self.piece):
            time.sleep(self.pause)
            handler.wfile.write(body[start : min(start + self.piece, stop)])
            handler.wfile.flush()
        if stop < len(body):
            handler.close_connection = True


_DRIVE_PAGE = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head>
<body><p>Google Drive can't scan this file for viruses.</p>
<form action="/search"><input type="hidden" name="q" value="other"></form>
<form id="download-form" action="{action}" method="get">
<input type="submit" value="Download anyway"><input type="hidden" name="id" value="{id}">
<input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t">
<input type="hidden" name="uuid" value="4711"></form></body></html>"""


@dataclass
class DriveServer(FileServer):
    """Serves ``files`` by Drive id, behind the page that warns of the missing virus scan.

    ``pages`` is how many times the warning comes although it was confirmed; ``page`` replaces it by
    another page, e.g. the one for a quota that is used up.
    """

    page: str | None = None
    pages: int = 0
    action: str = "/download"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        content = self.files.get(query.get("id", ""))
        if content is None:
            return send(handler, 404)
        if query.get("uuid") != "4711" or self.pages:
            self.pages = max(0, self.pages - ("uuid" in query))
            page = self.page or _DRIVE_PAGE.format(action=self.action, id=query["id"])
            return send(handler, 200, page.encode(), content_type="text/html; charset=utf-8")
        self.files["/download"] = content
        return super().answer(handler)


@dataclass
class HubServer(Loopback):
    """A Hub with model repositories.

    ``repos`` maps ``org/repo`` to commit -> {file: content}; ``refs`` maps (repo, branch or tag) to
    a commit. ``gated`` repositories answer 403. ``storage`` is the address of another server that
    large files are redirected to; ``status`` is answered to everything when it is set.
    """

    repos: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    refs: dict[tuple[str, str], str] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    storage: str | None = None
    status: int | None = None

    def add(self, repo: str, files: dict[str, bytes], *, branch: str = "main") -> str:
        """Commit files to a branch; returns the commit."""
        text = repr(sorted(files.items())).encode()
        commit = hashlib.sha1(text).hexdigest()
        self.repos.setdefault(repo, {})[commit] = files
        self.refs[repo, branch] = commit
        return commit

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.status is not None:
            return send(handler, self.status)
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", urlsplit(handler.path).path)
        if match is None or match[1] not in self.repos:
            return self._refuse(handler, 404 if match else 400, "RepoNotFound")
        repo, revision, name = match[1], match[2].replace("%2F", "/"), match[3]
        if repo in self.gated:
            return self._refuse(handler, 403, "GatedRepo")
        commit = self.refs.get((repo, revision), revision)
        files = self.repos[repo].get(commit)
        if files is None:
            return self._refuse(handler, 404, "RevisionNotFound")
        if name not in files:
            return self._refuse(handler, 404, "EntryNotFound", commit)
        etag = hashlib.sha256(files[name]).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit}
        if self.storage is None:
            return send(handler, 200, files[name], headers=headers)
        headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(files[name]))}
        headers["Location"] = f"{self.storage}/{etag}"
        return send(handler, 302, headers=headers)

    def _refuse(
        self, handler: BaseHTTPRequestHandler, status: int, code: str, commit: str = ""
    ) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": code}
        send(handler, status, headers=headers | ({"X-Repo-Commit": commit} if commit else {}))


@contextlib.contextmanager
def refusing_port() -> Iterator[str]:
    """Give an address on this machine where every connection is refused."""
    with socket.socket() as taken:
        # Bound but not listening: nobody else gets the port, and connecting fails at once.
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def silent_port() -> Iterator[str]:
    """Give an address where connections are made but never answered."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@contextlib.contextmanager
def deaf_port() -> Iterator[str]:
    """Give an address where connecting hangs, as at a host that drops every packet (on Linux)."""
    with contextlib.ExitStack() as sockets:
        deaf = sockets.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        # Nobody takes these up, so the queue is full and the kernel drops what comes then.
        for _ in range(3):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        yield f"http://127.0.0.1:{deaf.getsockname()[1]}"
