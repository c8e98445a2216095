from __future__ import annotations

from pathlib import Path

import pytest
from loopback import DriveServer, FileServer

from c3dhub.weights import gdrive
from c3dhub.weights.download import DownloadError

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "resnet.pth"


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> DriveServer:
    return DriveServer(files={"an-id": CONTENT})


def fetch_from(drive: DriveServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with drive:
        monkeypatch.setattr(gdrive, "BASE_URL", drive.url)
        gdrive.download_from_drive("an-id", target)


def test_drive_form_is_sent_once(
    drive: DriveServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_from(drive, target, monkeypatch)
    assert target.read_bytes() == CONTENT
    first, second = (request.path for request in drive.requests)
    assert first == "/download?id=an-id&export=download&confirm=t"
    assert "uuid=4711" in second
    assert "q=other" not in second


def test_drive_file_without_a_page_comes_with_one_request(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileServer(files={"/download": CONTENT}) as server:
        monkeypatch.setattr(gdrive, "BASE_URL", server.url)
        gdrive.download_from_drive("an-id", target)
    assert target.read_bytes() == CONTENT
    assert server.count() == 1


def test_drive_page_that_comes_again_is_an_error(
    drive: DriveServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.pages = 5
    with pytest.raises(DownloadError, match="sends a page instead of the file"):
        fetch_from(drive, target, monkeypatch)
    assert drive.count() == 2


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<p>Too many users have viewed or downloaded this file recently.", "quota is used up"),
        ("<title>Google Drive - Quota exceeded</title>", "quota is used up"),
        ("<title>Sign in - Google Accounts</title>", "asks for a sign-in"),
        ("<p>Something else", "sends a page instead"),
    ],
)
def test_drive_refusal_is_told_in_words(
    drive: DriveServer, target: Path, monkeypatch: pytest.MonkeyPatch, page: str, reason: str
) -> None:
    drive.page = page
    with pytest.raises(DownloadError, match=reason) as info:
        fetch_from(drive, target, monkeypatch)
    assert "https://drive.google.com/file/d/an-id/view" in str(info.value)
    assert drive.count() == 1


def test_drive_form_that_leads_elsewhere_is_not_sent(
    drive: DriveServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.action = "http://example.invalid/collect"
    with pytest.raises(DownloadError, match="sends a page"):
        fetch_from(drive, target, monkeypatch)
    assert drive.count() == 1
