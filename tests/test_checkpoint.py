"""Checkpoint files of every kind are read without running code, or refused with the reason."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import zipfile
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from c3dhub.base.errors import CheckpointError
from c3dhub.weights.convert.checkpoint_file import Checkpoint, read_checkpoint

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}
BOTH_FORMATS = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def save(path: Path, content: object, *, legacy: bool) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def only(checkpoint: Checkpoint) -> dict[str, Tensor]:
    (candidate,) = checkpoint.candidates
    return candidate.tensors


def assert_same(tensors: dict[str, Tensor], expected: dict[str, Tensor] = STATE) -> None:
    assert list(tensors) == list(expected)
    assert all(torch.equal(tensors[key], value) for key, value in expected.items())


@BOTH_FORMATS
def test_bare_state_dict(tmp_path: Path, legacy: bool) -> None:
    checkpoint = read_checkpoint(save(tmp_path / "x.pth", OrderedDict(STATE), legacy=legacy))
    assert checkpoint.candidates[0].where == ""
    assert_same(only(checkpoint))


@BOTH_FORMATS
@pytest.mark.parametrize("wrap", ["state_dict", "model", "model_state_dict", "net"])
def test_wrapped_beside_scalars_and_optimizer_state(
    tmp_path: Path, wrap: str, legacy: bool
) -> None:
    whole = {
        "epoch": 200,
        "arch": "resnet-50",
        "best": None,
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{}]},
        wrap: {key: nn.Parameter(value) for key, value in STATE.items()},
    }
    checkpoint = read_checkpoint(save(tmp_path / "x.pth", whole, legacy=legacy))
    assert [candidate.where for candidate in checkpoint.candidates] == [wrap]
    assert_same(only(checkpoint))


def test_every_dict_of_tensors_two_levels_deep_is_offered(tmp_path: Path) -> None:
    deep = {"a": {"b": STATE, "c": {"too": {"deep": STATE}}}, "mean": torch.ones(1), 3: STATE}
    checkpoint = read_checkpoint(save(tmp_path / "x.pth", deep, legacy=False))
    assert [candidate.where for candidate in checkpoint.candidates] == ["", "a.b"]


def test_safetensors_by_content_whatever_its_name(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "x.pth", metadata={"model": "m"})
    checkpoint = read_checkpoint(tmp_path / "x.pth")
    assert checkpoint.header == {"model": "m"}
    assert_same(dict(sorted(only(checkpoint).items())), dict(sorted(STATE.items())))


def test_torch_file_named_safetensors(tmp_path: Path) -> None:
    assert_same(only(read_checkpoint(save(tmp_path / "x.safetensors", STATE, legacy=False))))


def test_zip_that_was_packed_again_is_not_mapped(tmp_path: Path) -> None:
    stored = save(tmp_path / "x.pth", STATE, legacy=False)
    with zipfile.ZipFile(stored) as old, zipfile.ZipFile(tmp_path / "y.pth", "w") as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member), zipfile.ZIP_DEFLATED)
    assert_same(only(read_checkpoint(tmp_path / "y.pth")))


class OldStorage:
    """Stands for torch.cuda.FloatStorage in a file of 2017."""

    def __init__(self, values: Tensor) -> None:
        self.values = values


class OldTensor:
    """Pickles as the tensors of PyTorch 0.2 and 0.3 did."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __reduce__(self) -> tuple[Any, ...]:
        place = (OldStorage(self.values), 0, tuple(self.values.shape), self.values.stride())
        return torch._utils._rebuild_tensor, place


class OldPickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> tuple[object, ...] | None:
        if not isinstance(obj, OldStorage):
            return None
        size = obj.values.numel()
        return ("storage", torch.cuda.FloatStorage, str(size), "cuda:0", size, None)


def test_file_of_2017_saved_from_a_gpu(tmp_path: Path) -> None:
    with (tmp_path / "x.pth").open("wb") as stream:
        for small in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(small, stream, protocol=2)
        old = OrderedDict((key, OldTensor(value)) for key, value in STATE.items())
        OldPickler(stream, protocol=2).dump({"epoch": 1, "state_dict": old})
        pickle.dump([str(value.numel()) for value in STATE.values()], stream, protocol=2)
        for value in STATE.values():
            stream.write(struct.pack("<q", value.numel()) + value.numpy().tobytes())
    assert_same(only(read_checkpoint(tmp_path / "x.pth")))


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@BOTH_FORMATS
def test_code_is_refused_by_name_and_never_runs(tmp_path: Path, legacy: bool) -> None:
    trap = {"state_dict": STATE, "extra": Trap(tmp_path / "ran"), "args": Namespace(lr=1)}
    message = refusal(save(tmp_path / "x.pth", trap, legacy=legacy))
    assert "mkdir" in message
    assert "argparse.Namespace" in message
    assert "run code" in message
    assert "torch.save(model.state_dict(), PATH)" in message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_plain_pickles_are_not_opened(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps({"a": Trap(tmp_path / "ran")}, protocol=protocol))
    refusal(path)
    assert not (tmp_path / "ran").exists()


def test_newer_pickle_protocol_names_what_it_needs(tmp_path: Path) -> None:
    trap = {"a": Trap(tmp_path / "ran")}
    torch.save(trap, tmp_path / "x.pth", pickle_protocol=4)
    refusal(tmp_path / "x.pth")
    assert not (tmp_path / "ran").exists()


@BOTH_FORMATS
def test_whole_module_is_refused(tmp_path: Path, legacy: bool) -> None:
    message = refusal(save(tmp_path / "x.pth", nn.Linear(2, 2), legacy=legacy))
    assert "torch.nn.modules.linear.Linear" in message


WHAT_ELSE = {
    "empty": (b"", "is empty"),
    "text": ("Größe\n".encode(), "is a text file"),
    "page": (b"\xef\xbb\xbf\n<!DOCTYPE html><html><TITLE>Not found</TITLE>", "titled 'Not found'"),
    "drive": (b"<html><title>Google Drive - Virus scan warning</title>", "confirm the download"),
    "untitled": (b"<html>", "is a web page, not a checkpoint"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
    "gzip": (b"\x1f\x8b\x08\x00", "packed with gzip"),
    "tar": (b"pickle".ljust(257, b"\0") + b"ustar\x0000", "is a tar archive"),
    "start": (b"\x80\x02\x8a\x0al\xfc", "cut short after 6 bytes"),
    "pickle": (b"\x80\x04K\x01.", "Python pickle that torch.save did not write"),
    "other": (b"\x00\x01\x02\x03", r"starts with the bytes 00 01 02 03"),
    "not a zip": (b"PK\x03\x04garbage", "damaged or cut short zip"),
}


@pytest.mark.parametrize("content", WHAT_ELSE.values(), ids=WHAT_ELSE)
def test_other_files_are_called_what_they_are(tmp_path: Path, content: tuple[bytes, str]) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content[0])
    assert content[1] in refusal(path)


def test_paths_without_a_file(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "missing.pth")
    assert "is a folder" in refusal(tmp_path)
    assert "File name too long" in refusal(tmp_path / ("x" * 300)) or os.name == "nt"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


def test_torchscript_and_foreign_zips(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/constants.pkl", b"")
    assert "TorchScript" in refusal(tmp_path / "script.pt")
    with zipfile.ZipFile(tmp_path / "drive.zip", "w") as archive:
        archive.writestr("resnet-18-kinetics.pth", b"")
    assert "holds resnet-18-kinetics.pth" in refusal(tmp_path / "drive.zip")


@pytest.mark.parametrize("content", [torch.ones(2), [STATE], {"epoch": 1}, {}, 3], ids=repr)
def test_files_without_a_dict_of_tensors(tmp_path: Path, content: object) -> None:
    message = refusal(save(tmp_path / "x.pth", content, legacy=False))
    assert f"holds a {type(content).__name__}" in message


@BOTH_FORMATS
def test_files_cut_short_anywhere(tmp_path: Path, legacy: bool) -> None:
    whole = save(tmp_path / "x.pth", {"state_dict": STATE}, legacy=legacy).read_bytes()
    path = tmp_path / "cut.pth"
    for size in range(4, len(whole), 13):
        path.write_bytes(whole[:size])
        assert "cut short" in refusal(path), size


def test_safetensors_cut_short(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "x.safetensors")
    whole = (tmp_path / "x.safetensors").read_bytes()
    for size in (9, 30, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:size])
        assert "cut short" in refusal(tmp_path / "cut")


@BOTH_FORMATS
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, legacy: bool, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / f"changed_{legacy}.pth"
    content = bytearray(save(path, {"state_dict": STATE}, legacy=legacy).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        read_checkpoint(path)
