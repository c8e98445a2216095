from __future__ import annotations

import errno
import io
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import pytest
from loopback import FileServer, deaf_port, refusing_port, silent_port

from c3dhub.weights import connection, download
from c3dhub.weights.download import DownloadError, WebPageError

CONTENT = bytes(range(256)) * 4096
NAME = "/resnet.pth"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RETRY_SECONDS", 0.0)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "resnet.pth"


def part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def fetch_partly(target: Path, *, have: int = 300_000, **options: object) -> None:
    """Leave the beginning of the file behind, as an interrupted run does."""
    with (
        FileServer(files={NAME: CONTENT}, breaks=[have, 0, 0, 0, 0], **options) as server,  # type: ignore[arg-type]
        pytest.raises(DownloadError, match="gave up"),
    ):
        download.download(server.url + NAME, target)
    assert part_of(target).stat().st_size == have
    assert not target.exists()


def test_file_arrives_whole_and_nothing_else_stays(target: Path) -> None:
    with FileServer(files={NAME: CONTENT}) as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert server.requests[0].headers["user-agent"].startswith("c3dhub/")


def test_interrupted_download_is_resumed_where_it_broke(target: Path) -> None:
    fetch_partly(target)
    with FileServer(files={NAME: CONTENT}) as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT
    (request,) = server.requests
    assert request.headers["range"] == "bytes=300000-"
    assert request.headers["if-range"].startswith('"')


def test_line_that_breaks_in_the_middle_is_resumed_within_one_call(target: Path) -> None:
    with FileServer(files={NAME: CONTENT}, breaks=[1000, 1000, 1000, 1000, 1000, 1000]) as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT
    assert [r.headers.get("range") for r in server.requests][:3] == [
        None,
        "bytes=1000-",
        "bytes=2000-",
    ]


def test_date_is_the_validator_where_there_is_no_strong_etag(target: Path) -> None:
    fetch_partly(target, etag='W/"weak"')
    with FileServer(files={NAME: CONTENT}, etag='W/"weak"') as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT
    assert server.requests[0].headers["if-range"] == "Mon, 01 Jan 2018 00:00:00 GMT"


def test_without_a_validator_the_download_starts_anew(target: Path) -> None:
    plain = FileServer(files={NAME: CONTENT}, breaks=[10], etag="", last_modified="")
    with plain as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT
    assert [request.headers.get("range") for request in server.requests] == [None, None]


def test_server_that_ignores_ranges_starts_cleanly(target: Path) -> None:
    fetch_partly(target)
    with FileServer(files={NAME: CONTENT}, ranges=False) as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT
    assert server.count() == 1


def test_file_that_changed_since_starts_anew(target: Path) -> None:
    fetch_partly(target)
    changed = CONTENT[::-1]
    with FileServer(files={NAME: changed}, last_modified="") as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == changed
    assert server.requests[0].headers["range"] == "bytes=300000-"


def test_file_that_became_shorter_starts_anew(target: Path) -> None:
    fetch_partly(target, etag='"same"')
    with FileServer(files={NAME: CONTENT[:1000]}, etag='"same"') as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT[:1000]
    assert server.count() == 2


def test_wrong_range_is_not_appended(target: Path) -> None:
    fetch_partly(target)
    with FileServer(files={NAME: CONTENT}, wrong_range=True) as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT


def test_complete_part_needs_no_request(target: Path) -> None:
    fetch_partly(target)
    part_of(target).write_bytes(CONTENT)
    with FileServer() as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT
    assert server.requests == []


@pytest.mark.parametrize("damage", ["note", "too long"])
def test_part_that_cannot_be_trusted_starts_anew(target: Path, damage: str) -> None:
    fetch_partly(target)
    if damage == "note":
        target.with_name(target.name + ".part.json").write_text("{")
    else:
        part_of(target).write_bytes(CONTENT + b"more")
    with FileServer(files={NAME: CONTENT}) as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT
    assert "range" not in server.requests[0].headers


def test_body_without_a_length_ends_with_the_connection(target: Path) -> None:
    with FileServer(files={NAME: CONTENT}, length=False) as server:
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT


def test_server_that_breaks_at_one_place_for_ever_is_given_up(target: Path) -> None:
    with (
        FileServer(files={NAME: CONTENT}, breaks=[50] * 20, ranges=False) as server,
        pytest.raises(DownloadError, match=r"gave up after 4 attempts.*50 of 1048576 bytes"),
    ):
        download.download(server.url + NAME, target)
    assert server.count() == 5
    assert not target.exists()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_errors_that_may_pass_are_tried_again(target: Path, status: int) -> None:
    with FileServer(files={NAME: CONTENT}, statuses=[status, status]) as server:
        download.download(server.url + NAME, target)
    assert server.count() == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_errors_that_stay_are_told_at_once(target: Path, status: int) -> None:
    with (
        FileServer(statuses=[status]) as server,
        pytest.raises(DownloadError, match=f"HTTP status {status}"),
    ):
        download.download(server.url + NAME, target)
    assert server.count() == 1


def test_redirects_are_followed(target: Path) -> None:
    with FileServer(files={NAME: CONTENT}, redirects={"/old": NAME}) as server:
        download.download(server.url + "/old", target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,hello"])
def test_redirect_away_from_http_is_refused(target: Path, location: str) -> None:
    with (
        FileServer(redirects={NAME: location}) as server,
        pytest.raises(DownloadError),
    ):
        download.download(server.url + NAME, target)
    assert not target.exists()


def test_redirect_from_https_to_http_is_refused() -> None:
    request = urllib.request.Request("https://example.org/a")
    body, handler = io.BytesIO(b"moved"), connection._SafeRedirects()
    with pytest.raises(urllib.error.URLError, match="refused to follow"):
        handler.redirect_request(request, body, 302, "Found", Message(), "http://example.org/b")
    assert body.closed


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/x", "/etc/passwd", "http:///x", "http://[::1"]
)
def test_only_http_addresses_are_opened(target: Path, url: str) -> None:
    with pytest.raises(DownloadError, match=r"http|not an address"):
        download.download(url, target)


def test_web_page_is_not_taken_for_a_file(target: Path) -> None:
    page = b"<html>Sign in</html>"
    with (
        FileServer(files={NAME: page}, content_type="text/html; charset=utf-8") as server,
        pytest.raises(WebPageError, match="sends a web page instead of the file") as info,
    ):
        download.download(server.url + NAME, target)
    assert info.value.page == page.decode()
    assert list(target.parent.iterdir()) == []


def test_refused_connection_fails_at_once_without_retries(target: Path) -> None:
    started = time.monotonic()
    with refusing_port() as url, pytest.raises(DownloadError, match=r"cannot reach 127\.0\.0\.1"):
        download.download(url + NAME, target)
    assert time.monotonic() - started < 4


def test_unknown_host_fails_at_once(target: Path) -> None:
    with pytest.raises(DownloadError, match=r"cannot reach no-such-host\.invalid"):
        download.download("http://no-such-host.invalid/x", target)


def test_silent_server_is_given_up(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(connection, "READ_SECONDS", 0.5)
    with silent_port() as url, pytest.raises(DownloadError, match=r"no answer within 0\.2 s"):
        download.download(url + NAME, target)


def test_host_that_drops_every_packet_is_given_up(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.2)
    with deaf_port() as url, pytest.raises(DownloadError, match=r"timed out|no answer within"):
        download.download(url + NAME, target)


def test_name_lookup_that_hangs_is_given_up(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def hang(*_: object) -> object:
        time.sleep(0.5)
        made.append("late")
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(socket, "create_connection", hang)
    with pytest.raises(DownloadError, match=r"no answer within 0\.1 seconds"):
        download.download("http://127.0.0.1:9/x", target)
    assert made == []
    time.sleep(0.6)  # the thread that was left behind ends on its own
    assert made == ["late"]


def test_result_that_comes_too_late_is_discarded() -> None:
    discarded: list[int] = []

    def late() -> int:
        time.sleep(0.2)
        return 7

    with pytest.raises(TimeoutError):
        connection.within(0.01, late, discard=discarded.append)
    time.sleep(0.4)
    assert discarded == [7]


def test_silence_in_the_middle_is_resumed(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.3)
    with FileServer(files={NAME: CONTENT}, piece=len(CONTENT) // 2) as server:
        pauses = iter([0.0, 0.6])

        def pause_once(_: float) -> None:
            real_sleep(next(pauses, 0.0))

        real_sleep = time.sleep
        monkeypatch.setattr("loopback.time.sleep", pause_once)
        download.download(server.url + NAME, target)
    assert target.read_bytes() == CONTENT
    assert server.count() == 2


def test_disk_too_small_is_told_before_the_first_byte(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(target.parent)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with (
        FileServer(files={NAME: CONTENT}) as server,
        pytest.raises(OSError, match=r"1\.0 MB are still to come and 1\.0 kB are free"),
    ):
        download.download(server.url + NAME, target)
    assert not target.exists()


def test_progress_is_shown_when_asked_for(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileServer(files={NAME: CONTENT}) as server:
        download.download(server.url + NAME, target, label="tiny", progress=True)
    assert "tiny: 100%  1.0 MB of 1.0 MB" in capsys.readouterr().err


_KILLED = """
import sys
from pathlib import Path
from c3dhub.weights.download import download
download(sys.argv[1], Path(sys.argv[2]))
"""


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def test_download_of_a_killed_process_is_resumed(target: Path) -> None:
    server = FileServer(files={NAME: CONTENT}, piece=1 << 14, pause=0.05)
    with server:
        command = [sys.executable, "-c", _KILLED, server.url + NAME, str(target)]
        process = subprocess.Popen(command)
        part = part_of(target)
        wait_until(lambda: part.exists() and part.stat().st_size > 1 << 16)
        process.send_signal(signal.SIGKILL)
        process.wait()
        have = part.stat().st_size
        assert 0 < have < len(CONTENT)
        assert not target.exists()
        server.pause = 0.0
        subprocess.run(command, check=True)
        assert target.read_bytes() == CONTENT
        assert server.requests[-1].headers["range"] == f"bytes={have}-"
