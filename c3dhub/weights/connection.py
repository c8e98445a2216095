"""HTTP connections that give up within seconds and refuse unsafe redirects."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent import futures
from email.message import Message
from functools import partial
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

CONNECT_SECONDS = 5.0
# From asking until the answer begins: name lookup, connections and redirects included.
ANSWER_SECONDS = 15.0
# How long the server may be silent in the middle of a file.
READ_SECONDS = 30.0

T = TypeVar("T")
Response = http.client.HTTPResponse


def open_url(request: urllib.request.Request) -> Response:
    """Open an http or https request; proxies are taken from the environment.

    Raises
    ------
    urllib.error.URLError, OSError, http.client.HTTPException
        As `urllib.request.urlopen`; TimeoutError after `ANSWER_SECONDS` without an answer.
    """
    opener = urllib.request.build_opener(_HTTPHandler, _HTTPSHandler, _SafeRedirects)

    def ask() -> Response:
        response: Response = opener.open(request, timeout=READ_SECONDS)
        return response

    return within(ANSWER_SECONDS, ask, discard=Response.close)


def connect_within(
    address: tuple[str, int],
    timeout: float | None,
    source_address: tuple[str, int] | None = None,
) -> socket.socket:
    """Connect as `socket.create_connection`, but within `CONNECT_SECONDS` in total.

    Left to itself a host with eight silent addresses would take eight times as long as one.
    """
    connected = within(
        CONNECT_SECONDS,
        lambda: socket.create_connection(address, CONNECT_SECONDS, source_address),
        discard=socket.socket.close,
    )
    connected.settimeout(timeout)
    return connected


def within(
    seconds: float, call: Callable[[], T], *, discard: Callable[[T], object] | None = None
) -> T:
    """Return ``call()``, or raise TimeoutError when it takes longer.

    The call runs in a thread that is left behind when the time is up, because the system's own
    name lookup knows no time limit and may take half a minute on a machine without a network. A
    result that comes too late is given to ``discard``.
    """
    outcome: futures.Future[T] = futures.Future()

    def run() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001  # handed to the waiting thread
            with contextlib.suppress(futures.InvalidStateError):
                outcome.set_exception(error)
            return
        try:
            outcome.set_result(result)
        except futures.InvalidStateError:
            if discard is not None:
                discard(result)

    threading.Thread(target=run, name="c3dhub-within", daemon=True).start()
    futures.wait([outcome], seconds)
    if outcome.cancel():
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    return outcome.result()


def _dialling(kind: Callable[..., Any], host: str, **options: Any) -> Any:
    connection = kind(host, **options)
    # The hook that http.client itself calls; a subclass would have to repeat its proxy handling.
    connection._create_connection = connect_within
    return connection


class _HTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Response:
        return self.do_open(partial(_dialling, http.client.HTTPConnection), req)


class _HTTPSHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Response:
        return self.do_open(partial(_dialling, http.client.HTTPSConnection), req)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after not in ("http", "https") or (before == "https" and after == "http"):
            fp.close()
            raise urllib.error.URLError(f"refused to follow the redirect to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
