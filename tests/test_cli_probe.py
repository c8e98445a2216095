"""c3dhub probe: what it prints, writes and refuses, and its exit codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from labelled_videos import COLOURS, coloured_folder

from c3dhub.cli import main
from c3dhub.cli.probe import shown
from c3dhub.learning.datasets import VideoItem
from c3dhub.learning.probing.probe_result import ProbeResult
from c3dhub.networks import VideoNetwork


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coloured_folder(tmp_path_factory.mktemp("colours") / "videos")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def model(tiny: VideoNetwork, tmp_path: Path) -> str:
    return str(tiny.save_pretrained(tmp_path / "model"))


def run(*arguments: str | Path) -> int:
    return main(["probe", *map(str, arguments), "--device", "cpu"])


def test_the_table_ends_in_the_accuracy(
    folder: Path, model: str, kept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "confusion.csv"
    assert run(folder, "--model", model, "--cache", kept, "--confusion", table) == 0
    shown_lines = capsys.readouterr().out.splitlines()
    assert shown_lines[2].split() == ["0", "blue", "5", "100.0%", "5", ".", "."]
    assert shown_lines[-2].startswith("accuracy 100.0%   15 of 15 videos, 95 % interval 79.6%")
    assert shown_lines[-1].startswith("chance    33.3%")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == list(COLOURS)
    assert [int(row[i + 1]) for i, row in enumerate(rows[1:])] == [5, 5, 5]


def test_json_holds_every_video(
    folder: Path, model: str, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--classifier knn --stage layer1,avgpool --pooling mean+max --leave-one-group-out"
    strides = ("--frame-stride", "2", "--clip-stride", "8", "--groups", r"^scene(\d)")
    assert run(folder, "--model", model, "--json", "--cache", kept, *options.split(), *strides) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["videos"]) == 15
    assert found["settings"]["stages"] == ["layer1", "avgpool"]
    assert found["settings"]["pooling"] == "mean+max"
    assert found["settings"]["clip_rule"]["frame_stride"] == 2
    assert found["settings"]["clip_rule"]["clip_stride"] == 8
    assert {video["fold"] for video in found["videos"]} == {0, 1, 2}
    assert all("n_neighbors" in chosen for chosen in found["chosen"])


def test_a_list_with_groups_and_other_videos_to_test_with(
    folder: Path, model: str, kept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        f"{colour}/{video.name},{colour},{video.stem.partition('_')[0]}"
        for colour in COLOURS
        for video in sorted((folder / colour).iterdir())
    ]
    for name, chosen in (("train", lines), ("test", lines[::5])):
        text = "\n".join(["path,label,group", *chosen])
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    common = ("--model", model, "--cache", kept, "--videos", folder)
    assert run(train, *common, "--folds", "2") == 0
    assert "2-fold cross-validation, stratified, groups kept whole" in capsys.readouterr().out
    (folder.parent / "test.csv").write_text(
        test.read_text(encoding="utf-8").replace("\n", "\nvideos/"), encoding="utf-8"
    )
    assert run(train, *common, "--test", folder.parent / "test.csv") == 0
    told = capsys.readouterr()
    assert "learned from 15 videos, tested on 3 others" in told.out
    assert "3 of 3 test videos have their file in common" in told.err


def test_subsets(
    folder: Path, model: str, kept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["path,label,subset"]
    for colour in COLOURS:
        for number, video in enumerate(sorted((folder / colour).iterdir())):
            subset = ("train", "train", "train", "val", "test")[number]
            lines.append(f"{video},{colour},{subset}")
    data = tmp_path / "list.csv"
    data.write_text("\n".join(lines), encoding="utf-8")
    for options, protocol in (
        ("", "learned from 9 videos, tested on 3 others"),
        ("--test-subset val --classifier knn", "learned from 9 videos, tested on 3 others"),
        ("--subset train", "3-fold cross-validation"),
        ("--folds 4", "4-fold cross-validation"),
    ):
        assert run(data, "--model", model, "--cache", kept, *options.split()) == 0
        assert protocol in capsys.readouterr().out


def test_broken_videos_are_listed_and_the_exit_code_is_1(
    folder: Path, model: str, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = folder / "red" / "scene9_bad.mp4"
    bad.write_bytes(b"no video")
    try:
        assert run(folder, "--model", model, "--cache", kept) == 1
    finally:
        bad.unlink()
    told = capsys.readouterr()
    assert "15 of 15 videos" in told.out
    assert "1 of 16 videos cannot be read and are left out:" in told.err
    assert str(bad) in told.err


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ("--folds 9", 1, "at most 5 folds"),
        ("--leave-one-group-out", 1, "no video has a group"),
        ("--groups (", 2, "no regular expression"),
        ("--cache x --no-cache", 2, "contradict each other"),
        ("--confusion x.txt", 2, "end it in .csv"),
        ("--confusion nowhere/x.csv", 2, "is no folder"),
        ("--classifier svm", 2, "invalid choice"),
        ("--test nowhere", 1, "nowhere"),
        ("--subset train", 1, "no subset"),
    ],
)
def test_what_is_refused_before_the_model_is_looked_for(
    options: str, code: int, text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--model", "not-there", *options.split()) == code
    told = capsys.readouterr()
    assert text in told.err
    assert "not-there" not in told.err
    assert told.out == ""


def test_where_the_confusion_may_not_go(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.csv").mkdir()
    data = tmp_path / "list.csv"
    data.write_text("path,label\n", encoding="utf-8")
    for place, text in ((tmp_path / "folder.csv", "a folder"), (data, "the data itself")):
        assert run(data, "--model", "not-there", "--confusion", place) == 2
        assert text in capsys.readouterr().err


def test_no_cache_keeps_nothing(
    folder: Path, model: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--model", model, "--no-cache", "--folds", "2") == 0
    assert not list(home.rglob("*.safetensors"))
    assert "2-fold" in capsys.readouterr().out


def result(n_classes: int, predicted: list[int], truth: list[int]) -> ProbeResult:
    return ProbeResult(
        classes=tuple(f"class{i}" for i in range(n_classes)),
        items=tuple(VideoItem(Path("v.mp4"), label) for label in truth),
        truth=np.array(truth),
        predicted=np.array(predicted),
        fold=np.zeros(len(truth), np.int64),
        protocol="by hand",
        chosen=({"C": 0.1}, {"C": 0.1}, {"C": 1.0}),
        n_train=3,
        guess=0,
        settings={
            "classifier": "logistic", "stages": ["avgpool"], "pooling": "mean", "n_columns": 4,
            "model": {"name": "m"},
        },
    )  # fmt: skip


def test_many_classes_are_told_in_short() -> None:
    truth = [label for label in range(40) for _ in range(3)]
    predicted = [
        label if number % 3 else (label + label % 2) % 40 for number, label in enumerate(truth)
    ]
    text = shown(result(50, predicted, truth))
    assert "lowest recall, of 40 classes" in text
    assert "class1   " in text
    assert "      1  class1 taken for class2" in text
    assert "C 0.1 (2x), C 1 (1x)" in text
    assert len(text.splitlines()) < 35
    assert "frequent confusions" not in shown(result(50, truth, truth))


def test_a_class_without_videos_has_no_recall() -> None:
    lines = shown(result(3, [0, 1], [0, 1])).splitlines()
    assert lines[4].split() == ["2", "class2", "0", "-", ".", ".", "."]
