"""c3dhub extract and classify: what they print, write and refuse, and that nothing is left half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from make_video import write_audio, write_video

from c3dhub.cli import main
from c3dhub.extract import extract_features
from c3dhub.extraction.features import load_features
from c3dhub.networks import VideoNetwork


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "v.mp4", 20, fps=10)


@pytest.fixture
def model(tiny: VideoNetwork, tmp_path: Path) -> str:
    """Return the folder of a saved network with named classes."""
    folder = tiny.save_pretrained(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["classes"] = ["run", "sit", "wave", "fall", "jump"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(folder)


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def test_extract_writes_what_the_function_returns(
    video: Path, model: str, tiny: VideoNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "f.safetensors"
    stages = "layer3, avgpool"
    assert run("extract", video, "--model", model, "-o", out, "--stages", stages) == 0
    features = load_features(out)
    expected = extract_features(video, model=tiny, stages=("layer3", "avgpool"))
    for stage in ("layer3", "avgpool"):
        np.testing.assert_allclose(features[stage], expected[stage], rtol=1e-4, atol=1e-5)
    shown = capsys.readouterr()
    assert "2 clips, 0.00-2.00 s" in shown.out
    assert f"written to {out}" in shown.out
    assert len(str(features.provenance["model"]["weights_sha256"])) == 64
    assert shown.err == ""


# The numbers are the same on a CPU that computes bfloat16 slowly, and says so.
@pytest.mark.filterwarnings("ignore:this CPU .* has no instructions for bfloat16")
def test_all_options_reach_the_extraction(video: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "f.safetensors"
    options = "--clip-len 4 --clip-stride 3 --frame-stride 2 --fps 5 --start 0.2 --end 1.9"
    more = "--tail repeat_last --align center --batch-size 2 --precision bfloat16 --maps --quiet"
    code = run("extract", video, "--model", model, "-o", out, *options.split(), *more.split(),
               "--stages", "layer4", "--errors", "strict", "--device", "cpu")  # fmt: skip
    assert code == 0
    features = load_features(out)
    rule = features.provenance["clip_rule"]
    assert (rule["clip_len"], rule["clip_stride"], rule["frame_stride"]) == (4, 3, 2)
    assert (rule["fps"], rule["start"], rule["end"]) == (5.0, 0.2, 1.9)
    assert (rule["tail"], rule["align"]) == ("repeat_last", "center")
    assert features.provenance["precision"] == "bfloat16"
    assert features["layer4"].ndim == 5


def test_json_is_whole_and_on_stdout_alone(
    video: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("extract", video, "--model", model, "--json", "--stages", "logits") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["n_clips"] == 2
    assert data["stages"] == {"logits": [2, 5]}
    assert np.shape(data["features"]["logits"]) == (2, 5)
    assert data["provenance"]["source"]["size_bytes"] == video.stat().st_size


def test_classify_names_the_classes(
    video: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("classify", video, "--model", model, "--topk", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[-1] in {"run", "sit", "wave", "fall", "jump"}
    assert run("classify", video, "--model", model, "--topk", "5", "--per-clip", "--json") == 0
    clips = json.loads(capsys.readouterr().out)["clips"]
    assert [clip["start_seconds"] for clip in clips] == pytest.approx([0.0, 1.6])
    assert run("classify", video, "--model", model, "--per-clip") == 0
    assert "1.600 - 2.000 s" in capsys.readouterr().out


def test_random_weights_say_so_and_repeat(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for out in outs:
        assert run("extract", video, "--model", "resnet10", "--random-weights", "-o", out) == 0
    assert "features mean nothing" in capsys.readouterr().err
    a, b = (load_features(out) for out in outs)
    np.testing.assert_array_equal(a.pooled, b.pooled)
    assert a.provenance["model"]["weights_sha256"] is None


def test_several_videos_go_into_a_folder_and_failures_are_listed(
    video: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_video(tmp_path / "w.mp4", 5)
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    folder = tmp_path / "out"
    folder.mkdir()
    assert run("extract", video, broken, other, "--model", model, "-o", folder) == 1
    shown = capsys.readouterr()
    assert "1 of 3 videos failed" in shown.err
    assert "broken.mp4" in shown.err
    assert sorted(p.name for p in folder.iterdir()) == ["v.safetensors", "w.safetensors"]
    assert run("classify", video, broken, "--model", model, "--json") == 1
    results = json.loads(capsys.readouterr().out)
    assert "predictions" in results[0]
    assert "broken.mp4" in results[1]["error"]


def test_warnings_of_a_damaged_video_are_shown(
    video: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("extract", video, "--model", model, "--tail", "drop", "--clip-len", "40") == 0
    assert "warning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no.mp4"], 1, "there is no such file"),
        (["text.mp4"], 1, "text.mp4"),
        (["empty.mp4"], 1, "the file is empty"),
        (["sound.m4a"], 1, "no video stream"),
        (["."], 1, "image"),
        (["v.mp4", "--stages", "layer5"], 2, "Did you mean"),
        (["v.mp4", "--stages", ","], 2, "stages is empty"),
        (["v.mp4", "--clip-len", "0"], 2, "clip_len is 0"),
        (["v.mp4", "--start", "3", "--end", "2"], 2, "end must lie after start"),
        (["v.mp4", "--start", "100"], 1, "no frame lies between"),
        (["v.mp4", "--preset", "paper2018", "--tail", "zero"], 2, "contradicts"),
        (["v.mp4", "--precision", "int8", "--engine", "torch"], 2, "leave engine out"),
        (["v.mp4", "-o", "v.mp4"], 2, "the video itself"),
        (["v.mp4", "-o", "features.npz"], 2, "end it in .safetensors"),
        (["v.mp4", "-o", "no/f.safetensors"], 2, "is no folder"),
        (["v.mp4", "text.mp4", "-o", "nofolder"], 2, "existing folder"),
        (["v.mp4", "sub/v.mp4", "-o", "sub"], 2, "both be written"),
        (["v.mp4", "--device", "warp"], 2, "warp"),
    ],
)
def test_bad_input_gets_one_clear_message_and_no_file(
    video: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "empty.mp4").touch()
    write_audio(tmp_path / "sound.m4a")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    default = [] if "-o" in arguments else ["-o", "out.safetensors"]
    assert run("extract", "--model", model, *arguments, *default) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_found_before_any_work(
    video: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert run("extract", "no.mp4", "--model", model, "-o", tmp_path / "f.safetensors") == 1
    assert "cannot be written to" in capsys.readouterr().err


def test_a_model_that_is_not_here_gets_the_steps(
    video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("extract", video, "--model", "resnet152_kinetics", "--offline") == 1
    assert "c3dhub convert" in capsys.readouterr().err


def test_extract_is_a_command(video: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "f.safetensors"
    done = subprocess.run(
        [sys.executable, "-m", "c3dhub", "extract", str(video), "--model", model, "-o", str(out)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(load_features(out)) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_no_partial_file(
    video: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from c3dhub.extraction import features

    def full(*_: object, **__: object) -> None:
        Path("/dev/full").write_bytes(b"x" * 100_000)

    monkeypatch.setattr(features, "save_file", full)
    out = tmp_path / "f.safetensors"
    assert run("extract", video, "--model", model, "-o", out) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not [p for p in tmp_path.iterdir() if "f.safetensors" in p.name or ".part" in p.name]
