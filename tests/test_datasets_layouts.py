"""Folders of classes and the official formats, each built as its authors lay it out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_video import write_image
from test_datasets_lists import named, touch

from c3dhub.datasets import list_subsets, read_dataset
from c3dhub.errors import DatasetError


def test_folders_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "walk/b.mp4", "walk/a.AVI", "Run fast/deep/er/c.webm", "empty/readme.txt")
    touch(tmp_path, ".hidden/a.mp4", "walk/.a.mp4", "walk/notes.txt", "__MACOSX/a.mp4", "x.mp4")
    videos = read_dataset(tmp_path)
    assert named(videos) == [("c.webm", "Run fast"), ("a.AVI", "walk"), ("b.mp4", "walk")]
    assert videos.classes == ("Run fast", "empty", "walk")
    assert videos.counts == [1, 0, 2]
    assert videos.origin == str(tmp_path)
    assert list_subsets(tmp_path) == ()


def test_a_folder_of_numbered_images_is_a_video(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    for name in ("walk/one/frame_1.png", "walk/one/frame_2.png", "run/two/0001.png"):
        touch(tmp_path, name)
        write_image(tmp_path / name, picture, codec="png")
    touch(tmp_path, "walk/three.mp4")
    assert named(read_dataset(tmp_path)) == [
        ("two", "run"),
        ("one", "walk"),
        ("three.mp4", "walk"),
    ]


def test_images_directly_in_the_folder_of_a_class(tmp_path: Path) -> None:
    touch(tmp_path, "walk/frame_1.png", "run/a.mp4")
    with pytest.raises(DatasetError, match="walk: images lie directly in the folder of a class"):
        read_dataset(tmp_path)


def test_folders_of_subsets(tmp_path: Path) -> None:
    touch(tmp_path, "train/walk/a.mp4", "train/run/b.mp4", "Validation/walk/c.mp4", "test/x.txt")
    touch(tmp_path, "docs/readme.txt")
    assert named(read_dataset(tmp_path)) == [("c.mp4", "walk"), ("b.mp4", "run"), ("a.mp4", "walk")]
    assert set(list_subsets(tmp_path)) == {"train", "val"}
    val = read_dataset(tmp_path, subset="val")
    assert named(val) == [("c.mp4", "walk")]
    assert val.classes == ("run", "walk")


def test_classes_may_be_called_as_subsets_are(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.mp4", "test/b.mp4")
    assert named(read_dataset(tmp_path)) == [("b.mp4", "test"), ("a.mp4", "train")]


def test_subsets_beside_classes_are_unclear(tmp_path: Path) -> None:
    touch(tmp_path, "train/walk/a.mp4", "run/b.mp4")
    with pytest.raises(DatasetError, match=r"'train' looks like a subset .* 'run' like a class"):
        read_dataset(tmp_path)


def test_links_are_followed_and_those_to_nowhere_reported(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.mp4", "data/walk/b.mp4")
    (tmp_path / "data" / "run").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "walk" / "again").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "walk" / "c.mp4").symlink_to(tmp_path / "elsewhere" / "a.mp4")
    videos = read_dataset(tmp_path / "data")
    assert ("a.mp4", "run") in named(videos)
    assert ("c.mp4", "walk") in named(videos)
    (tmp_path / "elsewhere" / "a.mp4").unlink()
    with pytest.raises(DatasetError, match=r"c\.mp4") as caught:
        read_dataset(tmp_path / "data")
    assert {path.name for path in caught.value.missing} == {"c.mp4"}


@pytest.mark.parametrize("files", [(), ("a.mp4",), ("walk/a.txt",)])
def test_folders_without_videos(tmp_path: Path, files: tuple[str, ...]) -> None:
    touch(tmp_path, *files)
    with pytest.raises(DatasetError, match=r"CLASS/video\.mp4"):
        read_dataset(tmp_path)
    with pytest.raises(DatasetError, match=r"CLASS/video\.mp4"):
        read_dataset(tmp_path, layout="folder")


def ucf101(root: Path) -> Path:
    """Lay out three classes of UCF-101 as its archives unpack."""
    lists = root / "ucfTrainTestlist"
    names = {"ApplyEyeMakeup": 1, "Hammering": 2, "HammerThrow": 3}
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("".join(f"{i} {n}\r\n" for n, i in names.items()))
    for split in (1, 2, 3):
        train: list[str] = []
        test: list[str] = []
        for name, number in names.items():
            files = [f"{name}/v_{name}_g{group:02d}_c01.avi" for group in range(1, 5)]
            touch(root / "UCF-101", *files)
            test.append(f"{files[split]}\r\n")
            train.extend(f"{f} {number}\r\n" for f in files if f != files[split])
        (lists / f"trainlist{split:02d}.txt").write_text("".join(train))
        (lists / f"testlist{split:02d}.txt").write_text("".join(test))
    return root


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


def hmdb51(root: Path) -> Path:
    """Lay out two classes of HMDB-51 as its archives unpack."""
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir(parents=True)
    for name in ("wave", "brush_hair"):
        files = [f"#20_{name}!_(x)_{i}[1]; a.avi" for i in range(4)]
        touch(root / "hmdb51_org" / name, *files)
        for split in (1, 2, 3):
            marks = [0, 1, 2, 1] if split == 1 else [1, 1, 1, 2]
            lines = [f"{file} {mark} \n" for file, mark in zip(files, marks, strict=True)]
            (lists / f"{name}_test_split{split}.txt").write_text("".join(lines))
    return root


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
