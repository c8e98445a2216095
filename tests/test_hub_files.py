from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import huggingface_hub.utils
import pytest
import torch
from loopback import FileServer, HubServer, deaf_port, refusing_port, silent_port
from safetensors.torch import save
from tiny_release import Release, at, checkpoint_bytes, tiny_config

from c3dhub.base.errors import CheckpointError, WeightsUnavailableError
from c3dhub.base.files import sha256_of
from c3dhub.registry.manifest import model_info
from c3dhub.weights import ensure, hub_files, resolve_hub
from c3dhub.weights.cache import Cache
from c3dhub.weights.hub_files import HubPlace, parse_reference
from c3dhub.weights.verify import verify

REPO = "lab/tiny"
WEIGHTS = save({"fc.weight": torch.zeros(3, 3)})
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
FILES = {"model.safetensors": WEIGHTS, "config.json": json.dumps(tiny_config().to_dict()).encode()}
CHANGED = {**FILES, "model.safetensors": save({"fc.weight": torch.ones(3, 3)})}


@pytest.fixture(autouse=True)
def hub_cache(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give huggingface_hub, which reads HF_HOME when it is imported, a cache of this test."""
    folder = tmp_path / "hf"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("no_proxy", "*")
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    server = HubServer()
    with server:
        server.add(REPO, FILES)
        monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
        yield server


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    return Release(tmp_path, monkeypatch)


def hub_fields(commit: str, *, sha256: str = SHA256) -> dict[str, Any]:
    return {
        "repo_id": REPO,
        "filename": "model.safetensors",
        "revision": commit,
        "sha256": sha256,
        "size": len(WEIGHTS),
    }


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("hf://org/repo", ("org/repo", "main")),
        ("hf://org/repo@v1.0", ("org/repo", "v1.0")),
        ("hf://my-org/r.2_x@refs/pr/3", ("my-org/r.2_x", "refs/pr/3")),
    ],
)
def test_reference_names_repository_and_revision(reference: str, expected: tuple[str, str]) -> None:
    assert parse_reference(reference) == expected


@pytest.mark.parametrize(
    "reference",
    ["hf://repo", "hf://", "hf://a/b/c", "hf://a/b@", "org/repo", "hf://a/b@x y", "hf:// a/b"],
)
def test_bad_reference_tells_the_rule(reference: str) -> None:
    with pytest.raises(ValueError, match="write hf://org/repo or hf://org/repo@revision"):
        resolve_hub(reference)


@pytest.mark.parametrize("reference", ["hf://../repo", "hf://a--b/c", "hf://-a/b"])
def test_name_that_no_repository_can_have_is_a_value_error(hub: HubServer, reference: str) -> None:
    with pytest.raises(ValueError, match=r"epo"):
        resolve_hub(reference)
    assert hub.requests == []


def test_place_is_read_back_from_its_key() -> None:
    place = HubPlace("org/repo", "sub/model.safetensors", "abc123")
    assert str(place) == "hf://org/repo@abc123/sub/model.safetensors"
    assert HubPlace.from_key(str(place)) == place


@pytest.mark.parametrize("revision", ["", "@main", "@COMMIT"])
def test_reference_is_fetched_once_and_then_needs_no_request(
    hub: HubServer, revision: str, home: Path
) -> None:
    commit = hub.refs[REPO, "main"]
    reference = f"hf://{REPO}{revision.replace('COMMIT', commit)}"
    found = resolve_hub(reference, progress=False)
    assert found.sha256 == SHA256
    assert found.read_config() == tiny_config()
    assert found.origin == f"hf://{REPO}@{commit}/model.safetensors"
    assert hub.count("GET") == 2
    hub.requests.clear()
    assert resolve_hub(reference) == found
    assert resolve_hub(reference, local_files_only=True) == found
    assert hub.requests == []
    assert list(Cache(home).pins()) == [found.origin]


def test_file_is_hashed_once_however_often_it_is_used(
    hub: HubServer, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []

    def count(path: Path) -> str:
        hashed.append(path)
        return sha256_of(path)

    monkeypatch.setattr("c3dhub.weights.cache.sha256_of", count)
    monkeypatch.setattr("c3dhub.weights.local_files.sha256_of", count)
    release(hub=hub_fields(hub.refs[REPO, "main"]))
    found = [ensure(model_info("tiny")), ensure(model_info("tiny")), resolve_hub(f"hf://{REPO}")]
    assert {weights.sha256 for weights in found} == {SHA256}
    assert hashed == [found[0].path]


def test_branch_that_moved_is_not_noticed_but_its_new_commit_can_be_named(hub: HubServer) -> None:
    old = resolve_hub(f"hf://{REPO}")
    commit = hub.add(REPO, CHANGED)
    assert resolve_hub(f"hf://{REPO}") == old
    assert resolve_hub(f"hf://{REPO}@{commit}").sha256 != old.sha256


def test_both_files_are_of_one_commit_although_the_branch_moves(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fetch = hub_files.fetch

    def fetch(place: HubPlace, *, progress: bool | None = None) -> Path:
        path = real_fetch(place, progress=progress)
        hub.add(REPO, CHANGED)
        return path

    monkeypatch.setattr(hub_files, "fetch", fetch)
    assert resolve_hub(f"hf://{REPO}").sha256 == SHA256


def test_file_of_a_commit_that_changes_is_refused(hub: HubServer) -> None:
    found = resolve_hub(f"hf://{REPO}")
    found.path.resolve().write_bytes(CHANGED["model.safetensors"] + b" ")
    with pytest.raises(CheckpointError, match=f"c3dhub cache remove {found.origin}"):
        resolve_hub(f"hf://{REPO}")


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("hf://lab/absent", "no such model repository"),
        (f"hf://{REPO}@v9", "has no revision 'v9'"),
        (f"hf://{REPO}@{'0' * 40}", "has no revision"),
        ("hf://lab/gated", r"is gated: accept its terms at http.*/lab/gated"),
        ("hf://lab/no-weights", r"no file 'model\.safetensors'"),
        ("hf://lab/no-config", r"no file 'config\.json'"),
    ],
)
def test_what_is_not_there_is_told_in_words(hub: HubServer, reference: str, reason: str) -> None:
    hub.add("lab/gated", FILES)
    hub.gated.add("lab/gated")
    for name in FILES:
        which = "weights" if name.startswith("model") else "config"
        hub.add(f"lab/no-{which}", {other: FILES[other] for other in FILES if other != name})
    with pytest.raises(WeightsUnavailableError, match=reason):
        resolve_hub(reference)


@pytest.mark.parametrize("status", [401, 500, 503, 429])
def test_hub_in_trouble_is_not_asked_again_and_again(hub: HubServer, status: int) -> None:
    hub.status = status
    with pytest.raises(WeightsUnavailableError):
        resolve_hub(f"hf://{REPO}")
    assert len(hub.requests) == 1


def test_hub_that_refuses_connections_fails_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = time.monotonic()
    with refusing_port() as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(WeightsUnavailableError, match=f"cannot fetch it from {url}"):
            resolve_hub(f"hf://{REPO}")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("kind", [deaf_port, silent_port])
def test_hub_that_does_not_answer_fails_within_seconds(
    monkeypatch: pytest.MonkeyPatch, kind: Callable[[], AbstractContextManager[str]]
) -> None:
    monkeypatch.setattr(hub_files, "CONNECT_SECONDS", 0.3)
    started = time.monotonic()
    with kind() as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(WeightsUnavailableError, match=f"cannot fetch it from {url}"):
            resolve_hub(f"hf://{REPO}")
    assert time.monotonic() - started < 5


def test_hub_answer_that_takes_for_ever_is_not_waited_for(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_files, "ANSWER_SECONDS", 0.1)
    slow = "huggingface_hub.get_hf_file_metadata"
    monkeypatch.setattr(slow, lambda *_, **__: time.sleep(0.5))
    with pytest.raises(WeightsUnavailableError, match=r"no answer within 0\.1 seconds"):
        resolve_hub(f"hf://{REPO}")


def test_storage_that_refuses_connections_fails_within_seconds(hub: HubServer) -> None:
    started = time.monotonic()
    with refusing_port() as url:
        hub.storage = url
        with pytest.raises(WeightsUnavailableError, match="cannot fetch it"):
            resolve_hub(f"hf://{REPO}")
    assert time.monotonic() - started < 5


def test_large_files_come_from_the_storage(hub: HubServer) -> None:
    content = {f"/{hashlib.sha256(body).hexdigest()}": body for body in FILES.values()}
    with FileServer(files=content) as storage:
        hub.storage = storage.url
        assert resolve_hub(f"hf://{REPO}").sha256 == SHA256
        assert storage.count("GET") == 2


@pytest.mark.parametrize("how", ["C3DHUB_OFFLINE", "HF_HUB_OFFLINE", "local_files_only"])
def test_offline_makes_no_request(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how != "local_files_only":
        monkeypatch.setenv(how, "1")
    with pytest.raises(WeightsUnavailableError, match=f"{how}=.* forbids"):
        resolve_hub(f"hf://{REPO}", local_files_only=how == "local_files_only")
    assert hub.requests == []


def test_manifest_names_a_hub_file_that_is_fetched_and_checked(
    hub: HubServer, release: Release, home: Path
) -> None:
    release(hub=hub_fields(hub.refs[REPO, "main"]))
    found = ensure(model_info("tiny"))
    assert found.sha256 == SHA256
    assert found.read_config() == tiny_config()
    assert not Cache(home).has("tiny")
    hub.requests.clear()
    assert verify("tiny", Cache(home)).detail == f"sha256 {SHA256}"
    assert ensure(model_info("tiny")) == found
    assert ensure(model_info("tiny"), local_files_only=True) == found
    assert hub.requests == []


def test_hub_file_with_another_hash_than_the_manifest_says_is_refused(
    hub: HubServer, release: Release
) -> None:
    release(hub=hub_fields(hub.refs[REPO, "main"], sha256="0" * 64))
    with pytest.raises(CheckpointError, match=f"expected sha256 {'0' * 64}"):
        ensure(model_info("tiny"))


def test_hub_that_fails_gives_way_to_the_release_source(hub: HubServer, release: Release) -> None:
    server = FileServer(files={"/tiny.pth": checkpoint_bytes()})
    with server:
        release(at(server), hub=hub_fields("0" * 40))
        assert ensure(model_info("tiny")).origin == f"{server.url}/tiny.pth"


def test_removed_file_is_fetched_again(hub: HubServer, home: Path) -> None:
    found = resolve_hub(f"hf://{REPO}")
    place = HubPlace.from_key(found.origin)
    assert hub_files.remove_cached(place) == len(WEIGHTS)
    assert hub_files.remove_cached(place) == 0
    hub.requests.clear()
    assert resolve_hub(f"hf://{REPO}").sha256 == SHA256
    assert hub.count("GET") == 1


def test_progress_bars_are_back_after_a_quiet_download(hub: HubServer) -> None:
    assert not huggingface_hub.utils.are_progress_bars_disabled()  # type: ignore[attr-defined]
    resolve_hub(f"hf://{REPO}", progress=False)
    assert not huggingface_hub.utils.are_progress_bars_disabled()  # type: ignore[attr-defined]
