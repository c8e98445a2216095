"""``c3dhub list`` and ``c3dhub info``: for people and, with --json, for programs."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

import c3dhub
from c3dhub.cli import main
from c3dhub.registry.manifest import list_models

ROOT = Path(c3dhub.__file__).parent.parent


# list ---------------------------------------------------------------------------------------------


def test_list_shows_every_model_in_an_aligned_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[: lines.index("")]
    assert [line.split()[0] for line in table] == ["name", *list_models()]
    assert max(map(len, lines)) <= 100
    end_of_dim = table[0].index("dim") + 3
    assert all(line[end_of_dim - 1].isdigit() and line[end_of_dim] == " " for line in table[1:])
    row = next(line for line in table if line.startswith("resnet50_kinetics"))
    assert row.split() == [
        "resnet50_kinetics", "resnet50", "K400", "400", "16", "2048", "47.0", "20.1", "72.2", "a",
        "download",
    ]  # fmt: skip


def test_list_explains_only_the_short_forms_that_it_used(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "r3d50_km*"]) == 0
    out = capsys.readouterr().out
    assert "K700+M = Kinetics-700 + Moments in Time;" in out
    assert "metric a" not in out
    assert main(["list", "resnet*_kinetics"]) == 0
    out = capsys.readouterr().out
    assert "metric a: average of top-1 and top-5 accuracy on Kinetics-400 validation set" in out
    assert "metric b" not in out
    assert "K700" not in out


def test_list_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json", "mc3*"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == "mc3_18_kinetics400_v1"
    assert row["num_features"] == 512
    assert [metric["value"] for metric in row["metrics"]] == [63.96, 84.13]


def test_list_says_so_where_nothing_matches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "resnet51*"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no model matches 'resnet51*'" in captured.err
    assert "resnet50_kinetics" in captured.err


# info ---------------------------------------------------------------------------------------------


def test_info_tells_all_there_is_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "resnet50_kinetics"]) == 0
    out = capsys.readouterr().out
    for part in (
        "3D ResNet-50 trained on Kinetics-400",
        "layer4        2048 x 1 x 4 x 4",
        "16 consecutive RGB frames",
        "short side is scaled to 112 pixels",
        "mean 114.7748, 107.7354, 99.475",
        "72.2 %  average of top-1 and top-5",
        "c3dhub download resnet50_kinetics",
        "https://drive.google.com/drive/folders/1zvl89AgFAApbH0At-gMuZSeQB_LpNP-M",
        "c3dhub convert resnet-50-kinetics.pth --name resnet50_kinetics",
        "abseiling, air drumming,",
        "and 394 more",
        "MIT",
        "not stated",
        "@inproceedings{hara2018spatiotemporal,",
        'c3dhub.load("resnet50_kinetics")',
    ):
        assert part in out
    assert "\033" not in out


@pytest.mark.parametrize("name", list_models())
def test_info_fits_the_screen_for_every_model(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == name
    prose = [line for line in lines if "http" not in line and "= {" not in line]
    assert max(map(len, prose)) <= 100
    assert all(line == line.rstrip() for line in lines)


def test_info_says_why_there_are_no_names_and_no_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["info", "r3d50_kms"]) == 0
    out = capsys.readouterr().out
    assert "no complete list is at hand" in out
    assert "No figure is at hand" in out
    assert "sha1 39ea626355308d8f75307cab047a8d75862c3261" in out
    assert "(p / 255 - mean) / std" in out


def test_info_tells_torchvisions_input_and_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "r3d_18_kinetics400_v1"]) == 0
    out = capsys.readouterr().out
    assert "scaled to exactly 128 x 171 pixels (H x W)" in out
    assert "not antialiased" in out
    assert "sha256 starts with b3b3357e" in out


def test_info_of_a_models_own_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = json.loads((ROOT / "weights_manifest.json").read_text(encoding="utf-8"))
    hub = {"repo_id": "lab/r18", "filename": "model.safetensors", "revision": "4f0c"}
    (tmp_path / "three.txt").write_text("walk\nrun\njump\n")
    mine["data"]["kinetics400"]["class_names_file"] = "three.txt"
    mine["releases"]["cvpr2018"]["input"]["max_value"] = 2
    entry = mine["models"]["resnet18_kinetics"]
    entry["stages"]["logits"] = [3]
    entry |= {"num_classes": 3, "status": "bundled", "hub": {**hub, "sha256": "0" * 64, "size": 1}}
    (tmp_path / "m.safetensors").touch()
    entry["bundled"] = {"path": "m.safetensors", "sha256": "2" * 64, "size": 4_200_000}
    entry["sources"][0] |= {"sha256": "1" * 64, "note": ""}
    mine["models"] = {"mine": entry}
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    monkeypatch.setenv("C3DHUB_MANIFEST", str(tmp_path / "mine.json"))
    assert main(["info", "mine"]) == 0
    out = capsys.readouterr().out
    assert f"Comes with c3dhub: nothing is downloaded (4.2 MB as stored).\n    {tmp_path}" in out
    assert f"sha256 {'2' * 64}" in out
    assert "Hub: lab/r18, model.safetensors at revision 4f0c" in out
    assert f"(sha256 {'1' * 64})" in out
    assert "\n  walk, run, jump\n\nLicence" in out
    assert "(p * 2 / 255 - mean) / std" in out


def test_info_json_has_every_class_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json", "resnext101_kinetics_hmdb51"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert len(entry["config"]["classes"]) == 51
    assert entry["status"] == "manual"


def test_info_of_an_unknown_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "resnet50"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("c3dhub: error: no model is called 'resnet50'.")
    assert "Did you mean resnet50_kinetics" in captured.err
    assert captured.out == ""


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_headings_are_bold_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for extra, start in (
        ({}, "\033[1mresnet18_kinetics\033[0m\n"),
        ({"NO_COLOR": "1"}, "resnet18_"),
    ):
        for name, value in extra.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        assert main(["info", "resnet18_kinetics"]) == 0
        assert terminal.getvalue().startswith(start)
