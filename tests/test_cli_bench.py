"""c3dhub bench: what it prints for people and for programs, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from history import Record
from make_video import write_video

from c3dhub.cli import main
from c3dhub.cli.bench import forms, workloads
from c3dhub.networks import VideoNetwork


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads, "MATMUL_SIZE", 64)
    monkeypatch.setattr(
        forms, "KNOWN_FORMS", (("float32", "torch"), ("float16", "torch"), ("int8", "torch"))
    )


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "v.mp4", 20, fps=10)


@pytest.fixture
def model(tiny: VideoNetwork, tmp_path: Path) -> str:
    return str(tiny.save_pretrained(tmp_path / "model"))


def run(*arguments: str | Path) -> int:
    return main(["bench", *(str(argument) for argument in arguments), "--repeats", "1"])


def test_without_a_video_the_network_alone_is_measured(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", model) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert "the runs differ" not in shown.out  # one run does not
    assert lines[0].startswith("resnet10: clips of 16x112x112, ")
    assert lines[1].startswith("matrix product: float32 ")
    assert lines[3].split()[:4] == ["precision", "engine", "network", "clips/s"]
    assert "end to end" not in shown.out
    assert [line.split()[:2] for line in lines[4:6]] == [["float32", "plain"], ["float32", "torch"]]
    assert any(line.startswith("not here: float16 torch: precision is") for line in lines)
    assert any(line.startswith("not here: int8 torch: precision is") for line in lines)
    assert lines[-2].startswith("recommended: precision='float32', engine='torch': ")
    assert "VIDEO" in lines[-1]
    assert "c3dhub: bench: round 1 of at most 1: network float32 torch" in shown.err


def test_with_a_video_decoding_the_whole_and_the_errors(
    video: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(video, "--model", model, "--accuracy", "--quiet") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "end to end clips/s" in shown.out
    assert "decoding and preprocessing v.mp4 alone: " in shown.out
    rows = [line.split() for line in shown.out.splitlines() if line.startswith("float32    torch")]
    stages = [row[2] for row in rows if not row[2][0].isdigit()]
    assert stages == ["stem", "layer1", "layer2", "layer3", "layer4", "avgpool", "logits"]
    assert "clips/s end to end, 1.00 times float32; worst cosine" in shown.out
    assert "1.00000 on 2 clips of v.mp4" in shown.out


def test_json_is_one_line_that_the_history_takes(
    video: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(video, "--model", model, "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = Record.from_json(line)
    assert found.setup["command"] == "c3dhub bench"
    assert found.get("network", way="float32 torch", unit="clips/s") is not None
    assert found.get("cosine avgpool, worst", way="float32 torch", video="v.mp4") is not None
    assert found.recommendation == "float32 torch"


def test_random_weights_need_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", "resnet10", "--random-weights", "--device", "cpu", "--quiet") == 0
    assert capsys.readouterr().out.startswith("resnet10: ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "resnet5O_kinetics"], 2, "resnet50_kinetics"),
        (["--model", "resnet10", "--accuracy"], 2, "--accuracy needs a VIDEO"),
        (["no.mp4", "--model", "resnet10", "--random-weights"], 1, "no.mp4"),
        (["--model", "resnet10", "--random-weights", "--device", "abacus"], 2, "abacus"),
        ([], 2, "--model"),
    ],
)
def test_wrong_use_is_one_message(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert "Traceback" not in shown.err


def test_repeats_are_at_least_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--model", "resnet10", "--repeats", "0"]) == 2
    assert "--repeats is 0; it must be at least 1" in capsys.readouterr().err


def test_a_file_that_is_no_video_is_found_before_the_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video", encoding="utf-8")
    assert run(path, "--model", "resnet152_kinetics", "--offline") == 1
    shown = capsys.readouterr()
    assert "text.mp4" in shown.err
    assert "convert" not in shown.err
