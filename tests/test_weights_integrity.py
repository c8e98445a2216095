from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import FileServer
from tiny_release import Release, at, checkpoint_bytes

from c3dhub import weights
from c3dhub.base.errors import CheckpointError, WeightsUnavailableError
from c3dhub.registry.manifest import model_info
from c3dhub.weights import LocalWeights, download, ensure, release_files
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


def test_weights_that_were_copied_in_are_pinned_at_their_first_use(
    server: FileServer, release: Release, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(at(server))
    first = get()
    shutil.copytree(first.path.parent, tmp_path / "copy" / "models" / "tiny")
    monkeypatch.setenv("C3DHUB_HOME", str(tmp_path / "copy"))
    second = get()
    assert second.sha256 == first.sha256
    assert second.origin == str(second.path)
    assert Cache(tmp_path / "copy").pinned("tiny").weights is not None
    assert server.count() == 1


def test_changed_weights_are_refused_until_they_are_removed(
    server: FileServer, release: Release, home: Path
) -> None:
    release(at(server))
    found = get()
    content = bytearray(found.path.read_bytes())
    content[-1] ^= 1
    found.path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"c3dhub cache remove tiny.*c3dhub download tiny"):
        get()
    Cache(home).remove("tiny")
    assert get().sha256 == found.sha256


def test_source_that_changed_is_refused_until_its_pin_is_forgotten(
    server: FileServer, release: Release, home: Path
) -> None:
    release(at(server))
    first = get()
    Cache(home).remove("tiny")
    server.files["/tiny.pth"] = OTHER
    with pytest.raises(CheckpointError, match=r"(?s)not the file that was fetched.*--forget"):
        get()
    assert not Cache(home).has("tiny")
    Cache(home).remove("tiny", forget=True)
    assert get().sha256 != first.sha256


def test_converting_a_file_by_hand_replaces_weights_and_pins(
    server: FileServer, release: Release, home: Path, tmp_path: Path
) -> None:
    release(at(server))
    first = get()
    (tmp_path / "mine.pth").write_bytes(OTHER)
    converted, pin, before = release_files.convert_into_cache(tmp_path / "mine.pth", Cache(home))
    assert converted.entry.name == "tiny"
    assert before.weights is not None
    assert before.weights.sha256 == first.sha256
    second = get()
    assert second.sha256 == pin.sha256 != first.sha256
    assert second.origin == str(tmp_path / "mine.pth")


def test_file_that_is_complete_is_converted_without_being_fetched_again(
    server: FileServer, release: Release, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    release(at(server))
    with monkeypatch.context() as patch:
        patch.setattr(release_files, "install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            get()
    assert Cache(home).stored()[0].partial_size == len(CHECKPOINT)
    assert get().path.is_file()
    assert server.count() == 1


def test_nothing_stays_in_models_when_writing_fails(
    server: FileServer, release: Release, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    release(at(server))
    monkeypatch.setattr(release_files, "sha256_of", full)
    with pytest.raises(WeightsUnavailableError, match=r"No space left on device\. Free some space"):
        get()
    assert list((home / "models").glob("**/*")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_full_disk_leaves_no_half_model(
    server: FileServer, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={len(CHECKPOINT) + 100_000}", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        monkeypatch.setenv("C3DHUB_HOME", str(disk))
        release(at(server))
        with pytest.raises((CheckpointError, WeightsUnavailableError), match=r"(?i)no space left"):
            get()
        assert not Cache(disk).has("tiny")
        assert list((disk / "models").glob("**/*.safetensors")) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("where", ["below a file", "/proc"])
def test_folder_that_cannot_be_written_is_told_before_a_request(
    server: FileServer,
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    where: str,
) -> None:
    (tmp_path / "file").write_text("")
    home = "/proc/c3dhub" if where == "/proc" else str(tmp_path / "file" / "home")
    monkeypatch.setenv("C3DHUB_HOME", home)
    release(at(server))
    with pytest.raises(WeightsUnavailableError, match="set C3DHUB_HOME to a folder on another"):
        get()
    assert server.requests == []


def test_reader_waits_for_a_replacement_before_it_calls_a_file_changed(
    server: FileServer, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(at(server))
    get()
    answers = iter([CheckpointError("caught in the middle"), None])
    real_use = weights._use

    def use(*arguments: Any) -> LocalWeights:
        if error := next(answers):
            raise error
        return real_use(*arguments)

    monkeypatch.setattr(weights, "_use", use)
    assert get().path.is_file()


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(6000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


_LOAD = """
from c3dhub.registry.manifest import model_info
from c3dhub.weights import ensure
print(ensure(model_info("tiny")).sha256)
"""


def test_two_processes_that_load_one_model_fetch_it_once(
    server: FileServer, release: Release, home: Path
) -> None:
    release(at(server))
    server.piece, server.pause = 1000, 0.1  # would take minutes
    command = [sys.executable, "-c", _LOAD]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: server.count() == 1)
    second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    assert "tiny: waiting for another process" in second.stderr.readline()
    server.pause = 0.0
    outputs = [process.communicate()[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert outputs[0] == outputs[1] != ""
    assert server.count() == 1


def test_load_that_was_killed_is_resumed_by_the_next(
    server: FileServer, release: Release, home: Path
) -> None:
    release(at(server))
    server.piece, server.pause = len(CHECKPOINT) // 50, 0.1
    process = subprocess.Popen([sys.executable, "-c", _LOAD])
    cache = Cache(home)
    wait_until(lambda: any(i.partial_size > len(CHECKPOINT) // 10 for i in cache.stored()))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not cache.has("tiny")
    assert not (home / "lock.json").exists()
    server.pause = 0.0
    get()
    assert "range" in server.requests[-1].headers
    assert cache.stored()[0].partial_size == 0


def test_hit_is_verified_by_size_and_time_alone(
    server: FileServer, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(at(server))
    found = get()
    monkeypatch.setattr("c3dhub.weights.cache.sha256_of", lambda _: pytest.fail("hashed"))
    assert get().sha256 == found.sha256


def test_damaged_lock_file_keeps_weights_from_being_used(
    server: FileServer, release: Release, home: Path
) -> None:
    release(at(server))
    get()
    (home / "lock.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(CheckpointError, match="not a lock file"):
        get()
