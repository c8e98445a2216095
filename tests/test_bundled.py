"""The model that comes with c3dhub: read where it is installed, checked, never copied."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import c3dhub
from c3dhub.base.files import sha256_of
from c3dhub.cli import main
from c3dhub.networks import VideoNetwork
from c3dhub.registry.manifest import load_manifest, model_info, shipped_manifest
from c3dhub.weights.convert import convert_checkpoint

NAME = "resnet18_figures"
ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(c3dhub.__file__).resolve().parent / "registry" / "bundled" / NAME
MOST_BYTES = 8_000_000


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any attempt to reach the network fail the test."""

    def never(*args: object, **options: object) -> NoReturn:
        raise AssertionError(f"a connection was tried: {args}")

    monkeypatch.setattr(socket.socket, "connect", never)
    monkeypatch.setattr(socket, "create_connection", never)
    monkeypatch.setattr(socket, "getaddrinfo", never)


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that makes a changed copy of the manifest the one that is used."""

    def use(**bundled: object) -> Path:
        manifest = json.loads((ROOT / "weights_manifest.json").read_text(encoding="utf-8"))
        manifest["models"] = {NAME: manifest["models"][NAME]}
        manifest["models"][NAME]["bundled"] |= bundled
        path = tmp_path / "mine.json"
        path.write_text(json.dumps(manifest), encoding="utf-8")
        monkeypatch.setenv("C3DHUB_MANIFEST", str(path))
        return path

    return use


# What is in the box -------------------------------------------------------------------------------


def test_the_file_is_the_one_of_the_manifest() -> None:
    entry = model_info(NAME)
    assert entry.status == "bundled"
    assert entry.bundled is not None
    path = Path(entry.bundled.path)
    assert path == FOLDER / "model.safetensors"
    assert path.stat().st_size == entry.bundled.size <= MOST_BYTES
    assert sha256_of(path) == entry.bundled.sha256
    assert entry.sources == ()
    assert entry.hub is None


def test_weights_are_stored_in_halves_and_loaded_as_float32() -> None:
    with safe_open(FOLDER / "model.safetensors", framework="np") as file:
        kinds = {(s.get_dtype(), len(s.get_shape()) > 1) for s in map(file.get_slice, file.keys())}
    assert kinds == {("F16", True), ("F32", False), ("I64", False)}
    model = c3dhub.load(NAME, device="cpu")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert not any(p.requires_grad for p in model.parameters())


def test_folder_and_name_give_the_same_network() -> None:
    by_name, by_folder = c3dhub.load(NAME, device="cpu"), c3dhub.load(FOLDER, device="cpu")
    assert by_name.config == by_folder.config
    assert by_name.classes is not None
    assert len(by_name.classes) == 38
    for key, value in by_name.state_dict().items():
        assert torch.equal(by_folder.state_dict()[key], value)


def test_the_card_states_what_the_manifest_states() -> None:
    entry = model_info(NAME)
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert entry.metrics
    for metric in entry.metrics:
        assert f"| {metric['value']:g} | {metric['protocol']} |" in card
    assert entry.config.classes is not None
    flat = " ".join(card.split())
    assert ", ".join(entry.config.classes) in flat
    assert "take a model trained on Kinetics" in flat
    assert " ".join(entry.note.split()) in flat


# Where it works -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "C3DHUB_OFFLINE"])
def test_it_loads_offline_and_leaves_the_cache_alone(
    variable: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    model = c3dhub.load(NAME, device="cpu", local_files_only=True)
    assert model.num_classes == 38
    assert not home.exists()


@pytest.mark.usefixtures("offline")
def test_it_loads_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    # Not even root can make a folder below a file.
    monkeypatch.setenv("C3DHUB_HOME", str(file / "home"))
    monkeypatch.setenv("HOME", str(file))
    assert c3dhub.load(NAME, device="cpu").config.name == NAME
    assert main(["download", NAME]) == 0
    assert main(["verify", NAME]) == 0


def test_what_lies_in_the_cache_under_its_name_is_not_used(home: Path, tiny: VideoNetwork) -> None:
    tiny.save_pretrained(home / "models" / NAME)
    assert c3dhub.load(NAME, device="cpu").num_classes == 38


# What is refused ----------------------------------------------------------------------------------


def test_another_file_is_refused_with_both_hashes(
    mine: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = bytearray((FOLDER / "model.safetensors").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "own.safetensors").write_bytes(damaged)
    mine(path="own.safetensors")
    with pytest.raises(c3dhub.CheckpointError, match=r"expected sha256 .*\n.*actual") as told:
        c3dhub.load(NAME, device="cpu")
    assert str(tmp_path / "own.safetensors") in str(told.value)
    assert "Install c3dhub again" in str(told.value)
    assert main(["verify", NAME]) == 1
    assert "FAILED" in capsys.readouterr().out
    assert main(["download", "--json", NAME]) == 1


def test_a_missing_file_is_named(mine: Any) -> None:
    mine(path="nowhere.safetensors")
    with pytest.raises(c3dhub.CheckpointError, match=r"nowhere\.safetensors: cannot read.*again"):
        c3dhub.load(NAME, device="cpu")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"status": "manual"}, "status is 'manual' and bundled is Bundled"),
        ({"bundled": None}, "status is 'bundled' and bundled is None"),
        ({"bundled": {"path": "a", "sha256": "12", "size": 1}}, "bundled.sha256 is '12'"),
        ({"bundled": {"sha256": "0" * 64, "size": 1}}, "bundled.path is missing"),
        ({"bundled": {"path": "a", "sha256": "0" * 64, "size": 1, "x": 1}}, "bundled.x is not"),
    ],
)
def test_a_wrong_entry_is_refused(
    fields: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = json.loads((ROOT / "weights_manifest.json").read_text(encoding="utf-8"))
    manifest["models"][NAME] |= fields
    (tmp_path / "mine.json").write_text(json.dumps(manifest), encoding="utf-8")
    monkeypatch.setenv("C3DHUB_MANIFEST", str(tmp_path / "mine.json"))
    with pytest.raises(c3dhub.ManifestError, match=f"models.{NAME}: .*{says}"):
        load_manifest()


def test_nothing_is_converted_for_it(tmp_path: Path) -> None:
    copy = shutil.copy(FOLDER / "model.safetensors", tmp_path / "copy.safetensors")
    with pytest.raises(c3dhub.CheckpointError, match="comes with c3dhub and loads from there"):
        convert_checkpoint(copy, name=NAME)


# A manifest of one's own --------------------------------------------------------------------------


def test_a_copy_of_the_manifest_finds_the_packaged_file(mine: Any) -> None:
    mine()
    assert c3dhub.load(NAME, device="cpu").num_classes == 38


def test_a_lab_bundles_a_model_beside_its_manifest(mine: Any, tmp_path: Path) -> None:
    state = load_file(FOLDER / "model.safetensors")
    state["fc.bias"] += 1
    own = tmp_path / "weights" / "own.safetensors"
    own.parent.mkdir()
    save_file(state, own)
    mine(path="weights/own.safetensors", sha256=sha256_of(own), size=own.stat().st_size)
    bias = c3dhub.load(NAME, device="cpu").state_dict()["fc.bias"]
    assert torch.equal(bias, state["fc.bias"])
    assert shipped_manifest()[NAME].bundled != load_manifest()[NAME].bundled


# The commands -------------------------------------------------------------------------------------


def test_download_says_that_there_is_nothing_to_do(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["download", NAME]) == 0
    told = capsys.readouterr()
    assert told.out == f"{NAME}  {FOLDER / 'model.safetensors'}\n"
    assert "nothing to download" in told.err
    assert not home.exists()


def test_verify_without_a_name_checks_it_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify"]) == 0
    assert capsys.readouterr().out.startswith(f"ok      {NAME}: sha256 ")
    monkeypatch.setattr("c3dhub.weights.local_files.sha256_of", lambda _: "0" * 64)
    assert main(["verify"]) == 1
    assert capsys.readouterr().out.startswith(f"FAILED  {NAME}: ")


def test_verify_info_list_and_cache_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", NAME]) == 0
    assert capsys.readouterr().out.startswith(f"ok      {NAME}: sha256 ")
    assert main(["info", NAME]) == 0
    assert "Comes with c3dhub" in capsys.readouterr().out
    assert main(["list", NAME]) == 0
    assert "status: bundled = comes with c3dhub\n" in capsys.readouterr().out
    assert main(["cache", "remove", NAME]) == 1
    assert "it comes with c3dhub" in capsys.readouterr().err


# Halves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("vectors", [True, False])
def test_halves_are_a_way_to_store(
    kind: torch.dtype, vectors: bool, tiny: VideoNetwork, tmp_path: Path
) -> None:
    folder = tiny.save_pretrained(tmp_path / "m")
    state = {
        key: v.to(kind) if v.is_floating_point() and (vectors or v.ndim > 1) else v
        for key, v in tiny.state_dict().items()
    }
    save_file(state, folder / "model.safetensors")
    loaded = c3dhub.load(folder, device="cpu").state_dict()
    for key, value in state.items():
        assert loaded[key].dtype == (torch.float32 if value.is_floating_point() else torch.int64)
        assert torch.equal(loaded[key], value.to(loaded[key].dtype))


def test_vectors_of_another_kind_of_halves_are_refused(tiny: VideoNetwork, tmp_path: Path) -> None:
    folder = tiny.save_pretrained(tmp_path / "m")
    state = {
        key: v.to(torch.float16 if v.ndim > 1 else torch.bfloat16) if v.is_floating_point() else v
        for key, v in tiny.state_dict().items()
    }
    save_file(state, folder / "model.safetensors")
    with pytest.raises(c3dhub.CheckpointError, match="not all of one kind"):
        c3dhub.load(folder, device="cpu")
