"""c3dhub evaluate: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from grey_network import grey_frame, grey_video
from make_video import write_image

from c3dhub.cli import main
from c3dhub.networks import VideoNetwork

CLASSES = ("run", "sit", "wave", "fall", "jump")


@pytest.fixture
def model(tiny: VideoNetwork, tmp_path: Path) -> str:
    """Return the folder of a saved network with named classes."""
    folder = tiny.save_pretrained(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["classes"] = CLASSES
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(folder)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with a short video for each class."""
    for level, name in enumerate(CLASSES):
        (tmp_path / "data" / name).mkdir(parents=True)
        grey_video(tmp_path / "data" / name / "v.mov", [40 * level] * 4)
    return tmp_path / "data"


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def test_a_table_for_people(data: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", data, "--model", model) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split() == ["class", "videos", "top-1", "top-5"]
    assert [line.split()[:2] for line in lines[1:6]] == [[name, "1"] for name in sorted(CLASSES)]
    assert lines[7] == f"resnet10 on {data}"
    assert lines[9].split() == ["videos", "5", "20.0%", "100.0%", "60.0%"]
    assert lines[10].split()[:2] == ["clips", "5"]
    assert "95 % interval 3.6% to 62.4%; mean over classes 20.0%" in lines[11]
    words = " ".join(" ".join(lines[12:]).split())
    assert words.startswith(
        f"protocol: 5 videos of {data}. Clips of 16 consecutive frames at the video's own rate, one"
    )
    assert "Each clip: centre crop, 112 pixels wide and high, frames scaled to a short" in words
    assert shown.err == ""


def test_json_and_predictions(
    data: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "p.csv"
    options = ("--crops", "ten", "--clip-len", "4", "--precision", "float32", "--predictions")
    assert run("evaluate", data, "--model", model, "--json", *options, table) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["video"]["n"], found["video"]["top1"], found["video"]["top5"]) == (5, 0.2, 1.0)
    assert found["video"]["average"] == 0.6
    assert len(found["video"]["top1_interval"]) == 2
    assert [each["name"] for each in found["per_class"]] == sorted(CLASSES)
    assert found["per_class"][0] | {"top1": None, "average": None} == {
        "name": "fall", "output": 3, "n": 1, "top1": None, "top5": 1.0, "average": None,
    }  # fmt: skip
    assert found["provenance"]["crops"] == "ten"
    assert found["provenance"]["clip_rule"]["clip_len"] == 4
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows] == sorted(CLASSES)


def test_broken_videos_are_listed_and_the_exit_code_says_so(
    data: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "run" / "x.mp4").write_bytes(b"nothing")
    assert run("evaluate", data, "--model", model) == 1
    shown = capsys.readouterr()
    assert "1 of 6 videos cannot be read and are in no figure:" in shown.err
    assert f"{data / 'run' / 'x.mp4'}: " in shown.err
    assert "videos           5" in shown.out


def test_a_class_without_videos_and_a_video_that_breaks_off_are_shown(
    data: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "sit" / "v.mov").unlink()
    images = data / "run" / "images"
    images.mkdir()
    for number in range(3):
        write_image(images / f"{number:03d}.png", grey_frame(20), codec="png")
    (images / "003.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    assert run("evaluate", data, "--model", model) == 0
    shown = capsys.readouterr()
    assert f"c3dhub: warning: {images}: decoding stopped at frame 3" in shown.err
    rows = {line.split()[0]: line.split()[1:] for line in shown.out.splitlines()[1:6]}
    assert rows["sit"] == ["0", "-", "-"]
    assert rows["run"][0] == "2"


def test_bad_input_is_one_line(
    data: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(code: int, text: str, *arguments: str | Path) -> None:
        assert run("evaluate", *arguments) == code
        shown = capsys.readouterr()
        assert text in shown.err
        assert "Traceback" not in shown.err
        assert shown.out == ""

    usual = (data, "--model", model)
    refused(2, "written as CSV: end it in .csv", *usual, "--predictions", "p.json")
    refused(2, "is no folder: create it first", *usual, "--predictions", tmp_path / "no" / "p.csv")
    (tmp_path / "d.csv").mkdir()
    refused(2, "a folder; name a file", *usual, "--predictions", tmp_path / "d.csv")
    listed = tmp_path / "list.csv"
    listed.write_text("path,label\n", encoding="utf-8")
    refused(2, "the data itself", listed, "--model", model, "--predictions", listed)
    refused(2, "clip_len is 0", *usual, "--clip-len", "0")
    refused(2, "invalid choice: 'five'", *usual, "--crops", "five")
    refused(1, "has 5 classes and the network, whose classes have no names, 400 outputs",
            data, "--model", "resnet10", "--random-weights")  # fmt: skip
    (data / "runn").mkdir()
    grey_video(data / "runn" / "v.mov", [9] * 3)
    refused(1, "'runn' Did you mean run?", *usual)
    refused(1, "no such file or folder", tmp_path / "nowhere", "--model", model)
    refused(1, "no subsets", *usual, "--subset", "test")
    refused(2, "only ucf101 and hmdb51 have splits", *usual, "--split", "2")
    refused(2, "Did you mean ucf101?", *usual, "--layout", "ucf51")


@pytest.mark.parametrize("subsets", [("train", "val", "test"), ("train", "validation")])
def test_what_was_held_back_is_evaluated_unless_told_otherwise(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], subsets: tuple[str, ...]
) -> None:
    for length, subset in enumerate(subsets, 3):
        for name in CLASSES:
            (tmp_path / "data" / subset / name).mkdir(parents=True)
            grey_video(tmp_path / "data" / subset / name / f"{subset}.mov", [90] * length)

    def evaluated(*options: str) -> set[str]:
        table = tmp_path / "p.csv"
        data = tmp_path / "data"
        usual = ("--model", model, "--predictions", table)
        assert run("evaluate", data, *usual, *options) == 0
        with table.open(encoding="utf-8", newline="") as stream:
            return {Path(row["path"]).stem for row in csv.DictReader(stream)}

    assert evaluated() == {subsets[-1]}
    assert "(val" in capsys.readouterr().out or subsets[-1] == "test"
    assert evaluated("--subset", "train") == {"train"}


def test_an_unwritable_folder_is_refused_before_any_work(
    data: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    assert run("evaluate", data, "--model", model, "--predictions", tmp_path / "p.csv") == 1
    assert "cannot be written to; choose another folder" in capsys.readouterr().err
