"""Prepared models on disk: used when whole, made again when not, never half there."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from c3dhub.base.files import sha256_of
from c3dhub.extraction import engines
from c3dhub.extraction.engines import openvino_conversion, openvino_store
from c3dhub.extraction.options import ComputeOptions
from c3dhub.hub import create_model
from c3dhub.networks import VideoNetwork

openvino = pytest.importorskip("openvino")

CLIPS = torch.rand(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows whenever a network is converted."""
    made: list[str] = []
    convert = openvino_conversion.to_openvino

    def counted(form: VideoNetwork, *, clip_shape: tuple[int, int, int]) -> Any:
        made.append(form.config.name)
        return convert(form, clip_shape=clip_shape)

    monkeypatch.setattr(engines, "to_openvino", counted)
    return made


def fresh(seed: int = 0) -> VideoNetwork:
    """Return the same weights in a new network, as a new process would have them."""
    torch.manual_seed(seed)
    return create_model("resnet10", num_classes=5, width=4, device="cpu").eval()


def prepared(network: VideoNetwork) -> torch.Tensor:
    logits: torch.Tensor = network.prepared(ComputeOptions(precision="float32", engine="openvino"))(
        CLIPS
    )
    return logits


def entry_of(home: Path) -> Path:
    (folder,) = (home / "openvino").iterdir()
    return folder


def test_the_second_start_reads_what_the_first_wrote(home: Path, conversions: list[str]) -> None:
    first = prepared(fresh())
    assert torch.equal(prepared(fresh()), first)
    assert len(conversions) == 1
    assert {path.name for path in entry_of(home).iterdir()} == {
        "model.xml",
        "model.bin",
        "entry.json",
    }


def test_other_weights_are_another_entry(home: Path, conversions: list[str]) -> None:
    assert not torch.equal(prepared(fresh(0)), prepared(fresh(1)))
    changed = fresh(0)
    changed.get_parameter("conv1.weight").data.mul_(2)  # which counts no version
    prepared(changed)
    assert len(conversions) == 3
    assert len(list((home / "openvino").iterdir())) == 3


def cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-7])


def one_bit(folder: Path) -> None:
    data = bytearray((folder / "model.bin").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.bin").write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        cut("model.bin"),
        cut("model.xml"),
        cut("entry.json"),
        one_bit,
        lambda folder: (folder / "model.bin").unlink(),
        lambda folder: (folder / "entry.json").write_text("[]"),
        lambda folder: (folder / "entry.json").unlink(),
    ],
)
def test_damage_is_repaired_never_used(
    home: Path,
    conversions: list[str],
    damage: Callable[[Path], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = prepared(fresh())
    damage(entry_of(home))
    assert torch.equal(prepared(fresh()), expected)
    assert len(conversions) == 2
    assert torch.equal(prepared(fresh()), expected)
    assert len(conversions) == 2
    assert [path.name for path in (home / "openvino").iterdir()] == [entry_of(home).name]


def test_damage_is_reported(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepared(fresh())
    one_bit(entry_of(home))
    with caplog.at_level(logging.WARNING, logger="c3dhub"):
        prepared(fresh())
    assert "is damaged (model.bin changed) and is made again" in caplog.text


def test_hashes_that_agree_do_not_make_nonsense_a_model(home: Path, conversions: list[str]) -> None:
    expected = prepared(fresh())
    folder = entry_of(home)
    (folder / "model.xml").write_text("nonsense")
    entry = json.loads((folder / "entry.json").read_text())
    entry["sha256"]["model.xml"] = sha256_of(folder / "model.xml")
    (folder / "entry.json").write_text(json.dumps(entry))
    assert torch.equal(prepared(fresh()), expected)
    assert len(conversions) == 2


def test_a_folder_that_cannot_be_written_costs_only_time(
    home: Path, conversions: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    home.mkdir()
    (home / "openvino").write_text("a file in the way")
    prepared(fresh())
    assert "cannot be kept" in caplog.text
    assert len(conversions) == 1


def test_a_write_that_fails_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(openvino, "save_model", full)
    prepared(fresh())
    assert "cannot be kept: OpenVINO cannot write it" in caplog.text
    assert list((home / "openvino").iterdir()) == []


def test_a_writer_replaces_what_another_left(tmp_path: Path) -> None:
    model = openvino_conversion.to_openvino(fresh(), clip_shape=(4, 16, 16))
    for note in ("first", "second"):
        openvino_store._write(tmp_path / "key", {"note": note}, model)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert json.loads((tmp_path / "key" / "entry.json").read_text())["recipe"] == {"note": "second"}


def test_versions_and_calibration_are_part_of_the_key() -> None:
    base = {"weights": "a", "calibration": None, "versions": {"openvino": "1"}}
    others = [{**base, "calibration": "bundled"}, {**base, "versions": {"openvino": "2"}}]
    assert len({openvino_store._key(recipe) for recipe in [base, *others]}) == 3
