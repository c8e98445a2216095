from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import DriveServer, FileServer, refusing_port
from tiny_release import Release, at, checkpoint_bytes

from c3dhub.base.errors import CheckpointError, WeightsUnavailableError
from c3dhub.base.files import sha256_of
from c3dhub.registry.manifest import model_info
from c3dhub.weights import Action, Decision, LocalWeights, decide, download, ensure, gdrive
from c3dhub.weights.cache import Cache

CHECKPOINT = checkpoint_bytes()
OTHER = checkpoint_bytes(seed=1)


@pytest.fixture(autouse=True)
def _local(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(download, "RETRY_SECONDS", 0.0)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[FileServer]:
    file_server = FileServer(files={"/tiny.pth": CHECKPOINT})
    with file_server:
        yield file_server


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    return Release(tmp_path, monkeypatch)


def get(**options: Any) -> LocalWeights:
    return ensure(model_info("tiny"), **options)


@pytest.mark.parametrize(
    ("situation", "action", "why"),
    [
        ({"cached": True, "offline": "X"}, "use", "in the cache"),
        ({"cached": True, "hub_cached": True, "sources": 2}, "use", "in the cache"),
        ({"hub_cached": True, "on_hub": True, "offline": "X"}, "hub", "huggingface_hub's cache"),
        ({"on_hub": True, "sources": 1}, "hub", "names a file on the Hub"),
        ({"on_hub": True, "sources": 1, "tried": ["hub"]}, "download", "release's own file"),
        ({"hub_cached": True, "on_hub": True, "sources": 1, "tried": ["hub"]}, "download", ""),
        ({"sources": 3}, "download", "release's own file"),
        ({"on_hub": True, "sources": 1, "offline": "X=1 forbids it"}, "refuse", "X=1 forbids it"),
        ({"on_hub": True, "sources": 1, "tried": ["hub", "download"]}, "refuse", "has failed"),
        ({}, "refuse", "nobody offers the file"),
    ],
)
def test_decision_takes_the_first_place_that_has_the_weights(
    situation: dict[str, Any], action: Action, why: str
) -> None:
    decision = decide(**{"cached": False, **situation})
    assert isinstance(decision, Decision)
    assert decision.action == action
    assert why in decision.why


def test_release_file_is_fetched_converted_pinned_and_then_used_without_a_request(
    server: FileServer, release: Release, home: Path
) -> None:
    release(at(server))
    found = get()
    assert server.count() == 1
    assert found.path == home / "models" / "tiny" / "model.safetensors"
    assert found.origin == f"{server.url}/tiny.pth"
    assert found.sha256 == sha256_of(found.path)
    assert found.read_config().name == "tiny"
    pins = Cache(home).pinned("tiny")
    assert pins.source is not None
    assert pins.source.sha256 == hashlib.sha256(CHECKPOINT).hexdigest()
    assert pins.source.size == len(CHECKPOINT)
    assert list((home / "downloads").iterdir()) == []
    server.requests.clear()
    assert get() == found
    assert get(local_files_only=True) == found
    assert server.requests == []


@pytest.mark.parametrize("kind", ["sha256", "sha1", "sha256_prefix"])
def test_known_hash_is_checked(server: FileServer, release: Release, home: Path, kind: str) -> None:
    algorithm, _, prefix = kind.partition("_")
    digest = hashlib.new(algorithm, CHECKPOINT).hexdigest()[: 8 if prefix else None]
    wrong = ("0" if digest[0] != "0" else "1") + digest[1:]
    release(at(server, **{kind: wrong}))
    with pytest.raises(CheckpointError, match=f"expected {algorithm} {wrong}"):
        get()
    assert Cache(home).stored()[0].partial_size == 0
    assert not Cache(home).has("tiny")
    release(at(server, **{kind: digest}))
    assert get().path.is_file()


def test_mirrors_are_tried_in_order(server: FileServer, release: Release) -> None:
    with refusing_port() as dead:
        release({"kind": "url", "location": f"{dead}/tiny.pth"}, at(server))
        assert get().origin == f"{server.url}/tiny.pth"


def test_mirror_with_a_wrong_file_does_not_keep_the_next_from_being_used(
    server: FileServer, release: Release
) -> None:
    server.files["/bad.pth"] = b"no checkpoint at all"
    release({"kind": "url", "location": f"{server.url}/bad.pth"}, at(server))
    assert get().origin == f"{server.url}/tiny.pth"


def test_wrong_file_everywhere_is_a_checkpoint_error(server: FileServer, release: Release) -> None:
    server.files["/tiny.pth"] = b"no checkpoint at all"
    with refusing_port() as dead:
        release(at(server), {"kind": "url", "location": f"{dead}/tiny.pth"})
        with pytest.raises(CheckpointError, match=r"text file(.|\n)*cannot reach"):
            get()


def test_drive_source_is_fetched(
    release: Release, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    release({"kind": "gdrive", "location": "an-id", "filename": "tiny.pth"})
    with DriveServer(files={"an-id": CHECKPOINT}) as drive:
        monkeypatch.setattr(gdrive, "BASE_URL", drive.url)
        assert get().origin == "an-id"


def test_unreachable_host_gives_the_steps_within_seconds(release: Release, home: Path) -> None:
    with refusing_port() as dead:
        folder = {"kind": "gdrive_folder", "location": "a-folder", "note": "the authors'"}
        release({"kind": "url", "location": f"{dead}/tiny.pth"}, folder)
        started = time.monotonic()
        with pytest.raises(WeightsUnavailableError) as info:
            get()
    assert time.monotonic() - started < 5
    message = str(info.value)
    for part in (
        "every place that the manifest names has failed",
        "cannot reach 127.0.0.1",
        f"{dead}/tiny.pth",
        "https://drive.google.com/drive/folders/a-folder  (the authors')",
        "c3dhub convert /path/to/tiny.pth --name tiny",
        "C3DHUB_HOME",
    ):
        assert part in message
    assert isinstance(info.value.__cause__, WeightsUnavailableError)


def test_model_that_only_a_person_can_fetch_says_so(release: Release) -> None:
    release({"kind": "gdrive_folder", "location": "a-folder"}, status="manual")
    with pytest.raises(WeightsUnavailableError, match="nobody offers the file"):
        get()


@pytest.mark.parametrize("how", ["C3DHUB_OFFLINE", "HF_HUB_OFFLINE", "local_files_only"])
def test_offline_makes_no_request_and_needs_no_folder(
    server: FileServer, release: Release, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    release(at(server))
    monkeypatch.setenv("C3DHUB_HOME", "/proc/c3dhub")
    if how != "local_files_only":
        monkeypatch.setenv(how, "1")
    with pytest.raises(WeightsUnavailableError, match=f"not on this machine and {how}="):
        get(local_files_only=how == "local_files_only")
    assert server.requests == []
