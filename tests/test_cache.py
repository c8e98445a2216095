from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from c3dhub.base.errors import CheckpointError, WeightsUnavailableError
from c3dhub.base.files import sha256_of
from c3dhub.base.places import cache_home
from c3dhub.weights import cache as cache_module
from c3dhub.weights.cache import Cache, confirm
from c3dhub.weights.pins import Pins, SourcePin, WeightsPin

SOURCE = SourcePin("a.pth", 3, "a" * 64, "https://example.org/a.pth")


@pytest.fixture
def cache(home: Path) -> Cache:
    return Cache(home)


def put(cache: Cache, name: str = "tiny", content: bytes = b"weights") -> Path:
    cache.folder(name).mkdir(parents=True)
    cache.config(name).write_text("{}")
    cache.weights(name).write_bytes(content)
    return cache.weights(name)


def check(cache: Cache, path: Path, *, known: str | None = None) -> str:
    return confirm(cache, "tiny", path, remedy="REMEDY", known=known)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"C3DHUB_HOME": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"C3DHUB_HOME": "~/weights", "HOME": "/c"}, "/c/weights"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/c3dhub"),
        ({"C3DHUB_HOME": "", "XDG_CACHE_HOME": "", "HOME": "/c"}, "/c/.cache/c3dhub"),
    ],
)
def test_home_is_the_folder_that_the_environment_asks_for(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("C3DHUB_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_home() == Path(expected)


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", ".", "..", ".hidden", "a\\b", "a\0", "x" * 200]
)
def test_names_that_lead_out_of_the_cache_are_refused(cache: Cache, name: str) -> None:
    for path in (cache.folder, cache.downloads, cache.staging):
        with pytest.raises(ValueError, match="the model name is"):
            path(name)
    with pytest.raises(ValueError, match="the model name is"), cache.lock(name):
        pass


def test_model_without_a_config_is_not_there(cache: Cache) -> None:
    put(cache)
    assert cache.has("tiny")
    cache.config("tiny").unlink()
    assert not cache.has("tiny")


def test_stored_lists_models_and_partial_downloads(cache: Cache) -> None:
    put(cache, "b")
    cache.downloads("a").mkdir(parents=True)
    (cache.downloads("a") / "x.part").write_bytes(b"12345")
    cache.staging("b").mkdir()
    found = {item.name: (item.complete, item.size, item.partial_size) for item in cache.stored()}
    assert found == {"a": (False, 0, 5), "b": (True, 9, 0)}


def test_first_use_pins_and_later_uses_do_not_hash(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(cache)
    expected = sha256_of(path)
    assert check(cache, path) == expected
    assert cache.pinned("tiny").weights == WeightsPin.of(path, sha256=expected)
    monkeypatch.setattr(cache_module, "sha256_of", lambda _: pytest.fail("hashed again"))
    assert check(cache, path) == expected


def test_new_time_with_the_same_bytes_is_hashed_once_and_noted(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(cache)
    expected = check(cache, path)
    os.utime(path, ns=(1, 1))
    assert check(cache, path) == expected
    monkeypatch.setattr(cache_module, "sha256_of", lambda _: pytest.fail("hashed again"))
    assert check(cache, path) == expected


@pytest.mark.parametrize("content", [b"WEIGHTS", b"longer weights"])
def test_changed_file_is_refused(cache: Cache, content: bytes) -> None:
    path = put(cache)
    expected = check(cache, path)
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    with pytest.raises(CheckpointError) as info:
        check(cache, path)
    for part in (str(path), expected, sha256_of(path), "REMEDY"):
        assert part in str(info.value)


def test_known_hash_counts_more_than_the_pin(cache: Cache) -> None:
    path = put(cache)
    check(cache, path)
    with pytest.raises(CheckpointError, match="f" * 64):
        check(cache, path, known="f" * 64)
    assert check(cache, path, known=sha256_of(path)) == sha256_of(path)


def test_file_that_cannot_be_pinned_is_used_all_the_same(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = put(cache)
    monkeypatch.setattr(cache_module, "write_pins", refuse)
    with caplog.at_level(logging.INFO, "c3dhub"):
        assert check(cache, path) == sha256_of(path)
    assert "cannot pin it" in caplog.text


def test_pins_are_merged_and_dropped(cache: Cache) -> None:
    weights = WeightsPin("b" * 64, 1, 2)
    cache.pin("tiny", source=SOURCE)
    cache.pin("tiny", weights=weights)
    assert cache.pinned("tiny") == Pins(SOURCE, weights)
    cache.unpin("tiny", forget=False)
    assert cache.pinned("tiny") == Pins(SOURCE, None)
    cache.unpin("tiny", forget=True)
    assert cache.pins() == {}


def test_lock_file_is_json_that_a_person_can_read(cache: Cache) -> None:
    cache.pin("tiny", source=SOURCE)
    data = json.loads((cache.root / "lock.json").read_text())
    assert data["version"] == 1
    assert data["pins"]["tiny"]["source"]["location"] == "https://example.org/a.pth"
    assert "weights" not in data["pins"]["tiny"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 1}',
        '{"version": 9, "pins": {}}',
        '{"version": 1, "pins": {"a": {"weights": {"sha256": 1, "size": 1, "mtime_ns": 1}}}}',
        '{"version": 1, "pins": {"a": {"source": {"sha256": "x"}}}}',
    ],
)
def test_damaged_lock_file_is_an_error_that_says_what_to_do(cache: Cache, text: str) -> None:
    path = put(cache)
    (cache.root / "lock.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"lock\.json: this is not a lock file.*delete it"):
        check(cache, path)
    assert (cache.root / "lock.json").read_text() == text


_PINNING = """
import sys
from pathlib import Path
from c3dhub.weights.cache import Cache
from c3dhub.weights.pins import WeightsPin
for number in range(15):
    Cache(Path(sys.argv[1])).pin(f"{sys.argv[2]}{number}", weights=WeightsPin("0" * 64, 1, 1))
"""


def test_concurrent_writers_lose_no_pins(cache: Cache) -> None:
    command = [sys.executable, "-c", _PINNING, str(cache.root)]
    processes = [subprocess.Popen([*command, name]) for name in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(cache.pins()) == 30


def test_waiting_for_a_lock_is_said(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache_module, "_QUIET_SECONDS", 0.05)
    held, order = threading.Event(), []

    def hold() -> None:
        with cache.lock("tiny"):
            held.set()
            time.sleep(0.5)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with cache.lock("tiny"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert "tiny: waiting for another process" in caplog.text


def test_locks_of_two_models_and_of_the_pins_are_three(cache: Cache) -> None:
    with cache.lock("a"), cache.lock("lock.json"):
        cache.pin("a", source=SOURCE)
    assert cache.pinned("a").source == SOURCE


def test_remove_frees_the_space_but_keeps_the_source_pin(cache: Cache) -> None:
    check(cache, put(cache))
    cache.pin("tiny", source=SOURCE)
    cache.downloads("tiny").mkdir(parents=True)
    (cache.downloads("tiny") / "x.part").write_bytes(b"12345")
    assert cache.remove("tiny") == len(b"weights" + b"{}" + b"12345")
    assert cache.stored() == []
    assert cache.pinned("tiny") == Pins(SOURCE, None)
    assert cache.remove("tiny", forget=True) == 0
    assert cache.pins() == {}


@pytest.mark.parametrize("where", ["file", "proc"])
def test_folder_that_cannot_be_written_is_told_with_a_remedy(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    root = tmp_path / "file" / "home" if where == "file" else Path("/proc/c3dhub")
    with pytest.raises(WeightsUnavailableError, match="set C3DHUB_HOME to a folder on another"):
        Cache(root).remove("tiny")
