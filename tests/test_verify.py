from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_release import Release, checkpoint_bytes

from c3dhub.base.errors import CheckpointError
from c3dhub.base.files import sha256_of
from c3dhub.registry.manifest import model_info
from c3dhub.weights import ensure
from c3dhub.weights.cache import Cache
from c3dhub.weights.release_files import convert_into_cache
from c3dhub.weights.verify import verify, verify_all


@pytest.fixture
def cache(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Return a cache that has the model "tiny"."""
    Release(tmp_path, monkeypatch)()
    (tmp_path / "tiny.pth").write_bytes(checkpoint_bytes())
    convert_into_cache(tmp_path / "tiny.pth", Cache(home))
    return Cache(home)


def damage(path: Path) -> None:
    """Change the last byte and nothing that a look at size and time would show."""
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_model_that_is_as_it_was_is_ok(cache: Cache) -> None:
    (verdict,) = verify_all(cache)
    path = cache.weights("tiny")
    assert verdict.ok
    assert verdict.path == str(path)
    assert verdict.detail == f"sha256 {sha256_of(path)}"


def test_damage_that_kept_size_and_time_is_found(cache: Cache) -> None:
    path = cache.weights("tiny")
    expected = sha256_of(path)
    damage(path)
    verdict = verify("tiny", cache)
    assert not verdict.ok
    assert f"expected sha256 {expected}, actual sha256 {sha256_of(path)}" in verdict.detail
    with pytest.raises(CheckpointError, match=expected):
        ensure(model_info("tiny"))


def test_pinned_model_that_is_gone_fails(cache: Cache) -> None:
    cache.weights("tiny").unlink()
    (verdict,) = verify_all(cache)
    assert not verdict.ok
    assert "c3dhub download tiny" in verdict.detail


def test_model_without_a_pin_is_pinned(cache: Cache) -> None:
    cache.unpin("tiny", forget=True)
    assert "pinned now" in verify("tiny", cache).detail
    assert cache.pinned("tiny").weights is not None


def test_unknown_name_is_told_with_near_matches(cache: Cache) -> None:
    verdict = verify("tinny", cache)
    assert not verdict.ok
    assert "Did you mean tiny?" in verdict.detail


def test_hub_file_that_is_gone_fails(cache: Cache) -> None:
    verdict = verify("hf://lab/absent@0000/model.safetensors", cache)
    assert not verdict.ok
    assert "not in huggingface_hub's cache" in verdict.detail


@pytest.mark.parametrize("inside", ["", "model.safetensors"])
def test_path_is_held_against_its_config(cache: Cache, inside: str) -> None:
    verdict = verify(str(cache.folder("tiny") / inside), cache)
    assert verdict.ok, verdict.detail
    assert "tensors fit resnet10" in verdict.detail


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("remove", "missing: fc.bias"),
        ("add", "unexpected: extra"),
        ("reshape", "fc.bias is (6,), must be (5,)"),
        ("halve", "not all of one kind"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    cache: Cache, tmp_path: Path, change: str, complaint: str
) -> None:
    state = load_file(cache.weights("tiny"))
    if change == "remove":
        del state["fc.bias"]
    elif change == "halve":
        state["fc.bias"] = state["fc.bias"].half()
    else:
        state["extra" if change == "add" else "fc.bias"] = torch.zeros(6)
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(cache.config("tiny").read_text())
    verdict = verify(str(tmp_path), cache)
    assert not verdict.ok
    assert complaint in verdict.detail


@pytest.mark.parametrize("damaged", ["weights", "config"])
def test_unreadable_files_fail(cache: Cache, damaged: str) -> None:
    path = cache.weights("tiny") if damaged == "weights" else cache.config("tiny")
    path.write_bytes(b"nonsense")
    assert not verify(str(cache.folder("tiny")), cache).ok


def test_path_that_is_not_there_fails(cache: Cache, tmp_path: Path) -> None:
    verdict = verify(str(tmp_path / "nothing.safetensors"), cache)
    assert not verdict.ok
    assert json.dumps(verdict.detail)
    assert "no such file or folder" in verdict.detail
