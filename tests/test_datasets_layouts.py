"""The official formats, each built as its authors lay it out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from dataset_videos import hmdb51, touch, ucf101

from c3dhub.base.errors import DatasetError
from c3dhub.learning.datasets import list_subsets, read_dataset


@pytest.mark.parametrize("place", ["", "UCF-101", "ucfTrainTestlist"])
def test_ucf101(tmp_path: Path, place: str) -> None:
    root = ucf101(tmp_path) / place
    train = read_dataset(root, subset="train", split=2)
    assert train.classes == ("ApplyEyeMakeup", "Hammering", "HammerThrow")
    assert train.counts == [3, 3, 3]
    assert train.items[0].path == tmp_path / "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"
    assert train.items[0].group == "ApplyEyeMakeup_g01"
    assert "split 2" in train.origin
    test = read_dataset(root, subset="test", split=2)
    assert [item.group for item in test.items] == [f"{name}_g03" for name in train.classes]
    assert len(read_dataset(root)) == 12
    assert list_subsets(root) == ("train", "test")
    with pytest.raises(DatasetError, match="no subset 'val'; it has train, test"):
        read_dataset(root, subset="val")


def test_ucf101_beside_its_lists_or_elsewhere(tmp_path: Path) -> None:
    ucf101(tmp_path / "a")
    for folder in (tmp_path / "a" / "UCF-101").iterdir():
        folder.rename(tmp_path / "a" / folder.name)
    (tmp_path / "a" / "UCF-101").rmdir()
    assert len(read_dataset(tmp_path / "a")) == 12
    ucf101(tmp_path / "b")
    (tmp_path / "b" / "UCF-101").rename(tmp_path / "videos")
    assert len(read_dataset(tmp_path / "b", videos=tmp_path / "videos")) == 12


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("classInd.txt", "Archery\n", "line 1: is 'Archery'; each line is a number and a class"),
        ("classInd.txt", "1 A\n1 B\n", "line 2: is '1 B'"),
        ("trainlist01.txt", "Archery/a.avi 1\n", r"is 'Archery/a.avi 1'; each line is CLASS/video"),
        ("trainlist01.txt", "Hammering/a.avi 3\n", "class 3 is 'HammerThrow' .* 'Hammering'"),
        ("testlist01.txt", "", "the file is empty"),
    ],
)
def test_wrong_lists_of_ucf101(tmp_path: Path, file: str, text: str, message: str) -> None:
    (ucf101(tmp_path) / "ucfTrainTestlist" / file).write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_dataset(tmp_path)


def test_lists_that_are_not_there(tmp_path: Path) -> None:
    (ucf101(tmp_path) / "ucfTrainTestlist" / "testlist03.txt").unlink()
    with pytest.raises(DatasetError, match=r"testlist03.txt: this split file is not there"):
        read_dataset(tmp_path, split=3)
    touch(tmp_path / "other", "walk/a.mp4")
    for layout in ("ucf101", "hmdb51"):
        with pytest.raises(DatasetError, match="needs the official split files"):
            read_dataset(tmp_path / "other", layout=layout)


def test_hmdb51(tmp_path: Path) -> None:
    hmdb51(tmp_path)
    train = read_dataset(tmp_path, subset="train")
    assert train.classes == ("brush_hair", "wave")
    assert train.counts == [2, 2]
    assert [i.path.name[-11] for i in train.items] == ["1", "3", "1", "3"]
    assert read_dataset(tmp_path, subset="test").counts == [1, 1]
    assert read_dataset(tmp_path / "hmdb51_org", subset="train", split=2).counts == [3, 3]
    assert len(read_dataset(tmp_path)) == 6


def test_wrong_lists_of_hmdb51(tmp_path: Path) -> None:
    lists = hmdb51(tmp_path) / "testTrainMulti_7030_splits"
    (lists / "wave_test_split1.txt").write_text("a.avi 3\n")
    with pytest.raises(DatasetError, match=r"line 1: is 'a\.avi 3'; each line is a video and 1"):
        read_dataset(tmp_path)
    for path in lists.glob("*_split3.txt"):
        path.unlink()
    with pytest.raises(DatasetError, match=r"holds no CLASS_test_split3.txt"):
        read_dataset(tmp_path, split=3)


KINETICS = """label,youtube_id,time_start,time_end,split
"air drumming",-aB_c,1,11,train
testifying,xyz,0,10,validate
testifying,xyz,127,137,validate
"""


def test_kinetics(tmp_path: Path) -> None:
    path = tmp_path / "kinetics.csv"
    path.write_text(KINETICS)
    touch(
        tmp_path,
        "air_drumming/-aB_c_000001_000011.mp4",
        "xyz_000000_000010.mkv",
        "validate/testifying/xyz_000127_000137.mp4",
    )
    videos = read_dataset(path)
    assert videos.classes == ("air drumming", "testifying")
    assert [item.path.relative_to(tmp_path).parts[0] for item in videos.items] == [
        "air_drumming",
        "xyz_000000_000010.mkv",
        "validate",
    ]
    assert videos.items[1].group == "xyz"
    assert videos.items[1].start is None
    assert len(read_dataset(tmp_path)) == 3
    assert read_dataset(tmp_path, subset="val").counts == [0, 2]
    assert len(read_dataset(path, videos=tmp_path)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("youtube_id,time_start,time_end,split\nx,0,1,test\n", "there is no column 'label'"),
        (KINETICS.splitlines()[0], "lists no video"),
        (KINETICS + "x,y,soon,1,train\n", "line 5: time_start is 'soon'"),
        (KINETICS + ",y,1,2,train\n", "line 5: label or youtube_id is empty"),
        (KINETICS, "3 of 3 videos are not there"),
    ],
)
def test_wrong_kinetics_lists(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "k.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_dataset(tmp_path / "k.csv")


def test_a_folder_without_kinetics_lists(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4", "empty.csv")
    with pytest.raises(DatasetError, match="layout 'kinetics' needs a CSV file"):
        read_dataset(tmp_path, layout="kinetics")


def activitynet(folder: Path, database: Any, labels: Any = ("walk", "run")) -> Path:
    """Write an annotation file."""
    path = folder / "annotations.json"
    path.write_text(json.dumps({"labels": labels, "database": database}))
    return path


def test_what_the_authors_tools_write(tmp_path: Path) -> None:
    touch(tmp_path, "walk/one.mp4", "two.mp4", "v_three.mkv", "there/4.mp4")
    touch(tmp_path, "run/five/image_00001.jpg")
    path = activitynet(
        tmp_path,
        {
            "one": {"subset": "training", "annotations": {"label": "walk"}},
            "two": {"subset": "training", "annotations": {"label": "run", "segment": [2.0, 3]}},
            "three": {
                "subset": "validation",
                "annotations": [
                    {"label": "run", "segment": [0, 3]},
                    {"label": "walk", "segment": [3, 9.5]},
                ],
            },
            "four": {
                "subset": "validation",
                "annotations": {"label": "run"},
                "video_path": "there/4.mp4",
            },
            "five": {"subset": "training", "annotations": {"label": "run", "segment": [1, 31]}},
            "six": {"subset": "testing", "annotations": {}},
        },
    )
    with pytest.warns(UserWarning, match=r"1 segment\(s\) of whole numbers"):
        videos = read_dataset(path)
    assert videos.classes == ("walk", "run")
    assert [(i.path.name, i.label, i.start, i.end, i.group) for i in videos.items] == [
        ("one.mp4", 0, None, None, "one"),
        ("two.mp4", 1, 2.0, 3.0, "two"),
        ("v_three.mkv", 1, 0.0, 3.0, "three"),
        ("v_three.mkv", 0, 3.0, 9.5, "three"),
        ("4.mp4", 1, None, None, "four"),
        ("five", 1, None, None, "five"),
    ]


@pytest.mark.parametrize(
    ("database", "labels", "message"),
    [
        ({}, ["x"], "no video in it has a label"),
        ({"a": 3}, ["x"], "a: is 3; it must hold"),
        ({"a": {"subset": "training"}}, ["x"], "a: has no label"),
        ({"a": {"annotations": {"label": "x", "segment": [1]}}}, ["x"], r"segment is \[1\]"),
        ({"a": {"annotations": {"label": "x", "segment": [2.5, 1]}}}, ["x"], "end must lie after"),
        ({"a": {"annotations": {"label": "x"}}}, "x", '"labels" must be a list of names'),
        ({"a": {"annotations": {"label": "y"}}}, ["x"], r"1 label\(s\) are not among"),
        ([], ["x"], 'needs an object with "database"'),
    ],
)
def test_wrong_annotation_files(tmp_path: Path, database: Any, labels: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_dataset(activitynet(tmp_path, database, labels))


def test_an_annotation_file_without_labels_sorts_them(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    database = {name: {"annotations": {"label": f"class {name}"}} for name in "ba"}
    assert read_dataset(activitynet(tmp_path, database, None)).classes == ("class a", "class b")


def test_what_has_no_layout(tmp_path: Path) -> None:
    touch(tmp_path, "list.txt")
    with pytest.raises(DatasetError, match="has none of these layouts") as caught:
        read_dataset(tmp_path / "list.txt")
    for name in ("folder", "csv", "json", "jsonl", "ucf101", "hmdb51", "kinetics", "activitynet"):
        assert f"  {name}: " in str(caught.value)
    with pytest.raises(DatasetError, match="there is no such file or folder"):
        read_dataset(tmp_path / "nothing")
    touch(tmp_path / "images", "frame_1.png")
    with pytest.raises(DatasetError, match="It holds images"):
        read_dataset(tmp_path / "images")
    (tmp_path / "labels.csv").write_text("path,label\n")
    with pytest.raises(DatasetError, match=r"It holds lists: .*labels\.csv"):
        read_dataset(tmp_path)


def test_what_has_two_layouts(tmp_path: Path) -> None:
    hmdb51(ucf101(tmp_path / "both"))
    with pytest.raises(DatasetError, match="could be 'ucf101' or 'hmdb51'"):
        read_dataset(tmp_path / "both")
    assert len(read_dataset(tmp_path / "both", layout="hmdb51")) == 6
    touch(tmp_path / "listed", "walk/a.mp4")
    (tmp_path / "listed" / "labels.csv").write_text("path,label\nwalk/a.mp4,run\n")
    with pytest.raises(DatasetError, match="could be 'folder' or 'csv'"):
        read_dataset(tmp_path / "listed")
    assert read_dataset(tmp_path / "listed", layout="folder").classes == ("walk",)


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4")
    with pytest.raises(ValueError, match=r"layout is 'ucf102'.*Did you mean ucf101"):
        read_dataset(tmp_path, layout="ucf102")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="split is 4; it must be 1, 2 or 3"):
        read_dataset(tmp_path, split=4)
    with pytest.raises(ValueError, match="only ucf101 and hmdb51 have splits, not folder"):
        read_dataset(tmp_path, split=2)
    with pytest.raises(ValueError, match="videos is for lists"):
        read_dataset(tmp_path, videos=tmp_path)
    with pytest.raises(DatasetError, match=r"layout 'csv' takes a \.csv file"):
        read_dataset(tmp_path, layout="csv")
    with pytest.raises(DatasetError, match="layout 'folder' takes a folder"):
        read_dataset(tmp_path / "walk" / "a.mp4", layout="folder")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_list_that_may_not_be_read_is_an_oserror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    touch(tmp_path, "list.csv")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PermissionError):
        read_dataset(tmp_path / "list.csv")
