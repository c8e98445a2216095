"""Every byte of a weight file is hashed once on its way: fetched, checked, converted, pinned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import DriveServer, FileServer
from tiny_release import Release, at, checkpoint_bytes

from c3dhub.base.errors import WeightsUnavailableError
from c3dhub.registry.manifest import model_info
from c3dhub.weights import LocalWeights, download, ensure, gdrive, release_files
from c3dhub.weights.cache import Cache
from c3dhub.weights.release_files import convert_into_cache

CHECKPOINT = checkpoint_bytes()
SHA256 = hashlib.sha256(CHECKPOINT).hexdigest()
SHA1 = hashlib.sha1(CHECKPOINT).hexdigest()

_REAL_NEW = hashlib.new


class Counted:
    """A hash that notes the length of what it has seen under the name of its algorithm."""

    def __init__(self, seen: list[list[Any]], algorithm: str, first: bytes = b"") -> None:
        self._digest = _REAL_NEW(algorithm)
        self._seen: list[Any] = [algorithm, 0]
        seen.append(self._seen)
        self.update(first)

    def update(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._seen[1] += len(piece)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch, home: Path) -> Any:
    """Return a function: (algorithm, bytes) of all hashing of more than 1000 bytes, sorted.

    What is less is no file: an address is hashed for the name of a folder.
    """
    seen: list[list[Any]] = []
    monkeypatch.setattr(hashlib, "new", lambda name, **_: Counted(seen, name))
    monkeypatch.setattr(hashlib, "sha256", lambda first=b"": Counted(seen, "sha256", first))
    monkeypatch.setattr(download, "RETRY_SECONDS", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    return lambda: sorted((name, count) for name, count in seen if count > 1000)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    return Release(tmp_path, monkeypatch)


@pytest.fixture
def server() -> Iterator[FileServer]:
    file_server = FileServer(files={"/tiny.pth": CHECKPOINT})
    with file_server:
        yield file_server


def get() -> LocalWeights:
    return ensure(model_info("tiny"))


def whole(found: LocalWeights, *more: tuple[str, int]) -> list[tuple[str, int]]:
    """Return what is to be hashed: the released file and the weights that were written."""
    sizes = [len(CHECKPOINT), found.path.stat().st_size]
    return sorted([*(("sha256", size) for size in sizes), *more])


def check_source() -> None:
    source = Cache.default().pinned("tiny").source
    assert source is not None
    assert source.sha256 == SHA256


@pytest.mark.parametrize("known", [{}, {"sha256": SHA256}, {"sha256_prefix": SHA256[:8]}])
def test_release_file(
    server: FileServer, release: Release, known: dict[str, str], hashed: Any
) -> None:
    release(at(server, **known))
    assert whole(get()) == hashed()
    before = hashed()
    get()
    assert hashed() == before
    check_source()


def test_release_file_of_which_the_sha1_is_known(
    server: FileServer, release: Release, hashed: Any
) -> None:
    release(at(server, sha1=SHA1))
    assert whole(get(), ("sha1", len(CHECKPOINT))) == hashed()


def test_line_that_breaks_within_one_call(
    server: FileServer, release: Release, hashed: Any
) -> None:
    server.breaks = [50_000, 70_000, 0]
    release(at(server))
    assert whole(get()) == hashed()
    assert server.count() == 4
    check_source()


def test_what_an_earlier_call_left_is_hashed_from_its_beginning(
    server: FileServer, release: Release, hashed: Any
) -> None:
    server.breaks = [50_000, 0, 0, 0, 0]
    release(at(server))
    with pytest.raises(WeightsUnavailableError, match="gave up"):
        get()
    assert hashed() == [("sha256", 50_000)]
    found = get()
    assert hashed() == sorted([("sha256", 50_000), *whole(found)])
    check_source()


def test_file_that_is_complete_from_an_interrupted_call(
    server: FileServer, release: Release, hashed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    release(at(server))
    with monkeypatch.context() as patch:
        patch.setattr(release_files, "install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            get()
    assert hashed() == [("sha256", len(CHECKPOINT))]
    found = get()
    assert hashed() == sorted([("sha256", len(CHECKPOINT)), *whole(found)])
    check_source()


def test_drive_file_behind_the_warning_page(
    release: Release, hashed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    release({"kind": "gdrive", "location": "an-id", "filename": "tiny.pth"})
    with DriveServer(files={"an-id": CHECKPOINT}) as drive:
        monkeypatch.setattr(gdrive, "BASE_URL", drive.url)
        assert whole(get()) == hashed()
    check_source()


def test_file_that_a_person_converts(release: Release, hashed: Any, tmp_path: Path) -> None:
    release()
    (tmp_path / "tiny.pth").write_bytes(CHECKPOINT)
    convert_into_cache(tmp_path / "tiny.pth", Cache.default())
    assert whole(get()) == hashed()
    check_source()
