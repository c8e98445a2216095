from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_release import tiny_config, write_manifest

from c3dhub.base.errors import CheckpointError
from c3dhub.base.files import sha256_of
from c3dhub.weights.local_files import resolve_path


def write(path: Path, metadata: dict[str, str] | None = None) -> Path:
    save_file({"fc.weight": torch.zeros(2, 2)}, path, metadata)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(tiny_config().to_dict()))
    return tmp_path


@pytest.mark.parametrize("inside", ["", "model.safetensors"])
def test_folder_and_file_with_a_config_beside_it(folder: Path, inside: str) -> None:
    found = resolve_path(folder / inside)
    assert found.path == folder / "model.safetensors"
    assert found.read_config() == tiny_config()
    assert found.known_sha256 is None


def test_hash_is_computed_when_it_is_first_asked(folder: Path) -> None:
    found = resolve_path(str(folder))
    expected = sha256_of(found.path)
    assert found.sha256 == expected
    found.path.unlink()
    assert found.sha256 == expected


def test_header_that_names_a_model_needs_no_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("C3DHUB_MANIFEST", str(write_manifest(tmp_path / "m.json", {"tiny": {}})))
    found = resolve_path(write(tmp_path / "x.safetensors", {"model": "tiny"}))
    assert found.config_path is None
    assert found.read_config() == tiny_config()


@pytest.mark.parametrize("metadata", [None, {"model": "unknown"}])
def test_file_of_an_unknown_network_says_what_is_missing(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    path = write(tmp_path / "x.safetensors", metadata)
    with pytest.raises(CheckpointError, match=r"no config\.json beside it and its header names no"):
        resolve_path(path)


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_folder_that_lacks_a_file_names_it(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=f"{missing} is missing"):
        resolve_path(folder)


@pytest.mark.parametrize("name", ["x.pth", "x.PT", "x.tar"])
def test_pickle_says_how_to_convert_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x02")
    with pytest.raises(CheckpointError, match=rf"pickle.*c3dhub convert .*{name}"):
        resolve_path(tmp_path / name)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"video")
    with pytest.raises(CheckpointError, match=r"only \.safetensors files are loaded"):
        resolve_path(tmp_path / "x.mp4")
    with pytest.raises(CheckpointError, match="no such file or folder"):
        resolve_path(tmp_path / "nothing.safetensors")


def test_file_that_only_has_the_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"text, no tensors")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        resolve_path(tmp_path / "x.safetensors")
