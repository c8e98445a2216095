"""CSV, JSON and JSON Lines: what a list may look like, and what is said of one that is wrong."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dataset_videos import named, touch

import c3dhub
from c3dhub.base.errors import DatasetError
from c3dhub.learning.datasets import list_subsets, read_dataset
from c3dhub.learning.datasets.class_numbers import shipped


def a_list(folder: Path, text: str | bytes, name: str = "list.csv") -> Path:
    """Write a list beside the videos a.mp4, b.mp4 and c.mp4."""
    touch(folder, "a.mp4", "b.mp4", "c.mp4")
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_csv_list_gives_paths_labels_spans_subsets_and_groups(tmp_path: Path) -> None:
    path = a_list(
        tmp_path,
        "path,label,start,end,subset,group\n"
        "a.mp4,walk,1.5,2,training,ann\n"
        'b.mp4,"run, fast",,,validation,\n'
        "c.mp4,walk,3,,Test,bob\n",
    )
    videos = read_dataset(path)
    assert named(videos) == [("a.mp4", "walk"), ("b.mp4", "run, fast"), ("c.mp4", "walk")]
    assert videos.classes == ("run, fast", "walk")
    assert [(i.start, i.end, i.group) for i in videos.items] == [
        (1.5, 2.0, "ann"),
        (None, None, None),
        (3.0, None, "bob"),
    ]
    assert list_subsets(path) == ("train", "val", "test")
    assert named(read_dataset(path, subset="valid")) == [("b.mp4", "run, fast")]
    assert read_dataset(path, subset="test").classes == videos.classes


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_line_ends_byte_order_marks_and_separators(
    tmp_path: Path, end: str, mark: bytes, separator: str
) -> None:
    lines = ["", "path,label", " a.mp4 , walk ", "", "b.mp4,run", " , "]
    text = end.join(lines).replace(",", separator)
    assert named(read_dataset(a_list(tmp_path, mark + text.encode()))) == [
        ("a.mp4", "walk"),
        ("b.mp4", "run"),
    ]


@pytest.mark.parametrize("name", ["list.json", "list.jsonl", "list.ndjson"])
def test_json_lists(tmp_path: Path, name: str) -> None:
    entries = [
        {"path": "a.mp4", "label": "walk", "start": 1, "end": 2.5},
        {"path": "b.mp4", "label": 7, "subset": "train", "start": None},
    ]
    lines = "\n\n".join(map(json.dumps, entries))
    text = json.dumps(entries) if name == "list.json" else lines
    videos = read_dataset(a_list(tmp_path, text, name))
    assert named(videos) == [("a.mp4", "walk"), ("b.mp4", "7")]
    assert (videos.items[0].start, videos.items[0].end) == (1.0, 2.5)


def test_paths_start_from_videos_or_the_list_or_the_root(tmp_path: Path) -> None:
    touch(tmp_path, "else where/a.mp4", "lists/sub/b.mp4")
    path = tmp_path / "lists" / "list.csv"
    path.write_text(f"path,label\n{tmp_path}/else where/a.mp4,x\nsub\\b.mp4,y\n")
    assert [i.path for i in read_dataset(path).items] == [
        tmp_path / "else where" / "a.mp4",
        tmp_path / "lists" / "sub" / "b.mp4",
    ]
    path.write_text("path,label\na.mp4,x\n")
    assert len(read_dataset(path, videos=tmp_path / "else where")) == 1
    with pytest.raises(DatasetError, match="videos must be a folder"):
        read_dataset(path, videos=tmp_path / "nowhere")


def test_a_video_that_was_converted_is_found(tmp_path: Path) -> None:
    touch(tmp_path, "a.mkv", "b/frame_01.png", "c/notes.txt")
    path = tmp_path / "list.csv"
    path.write_text("path,label\na.avi,x\nb.avi,y\nb,y\n")
    assert [i.path.name for i in read_dataset(path).items] == ["a.mkv", "b", "b"]
    path.write_text("path,label\nc.avi,x\n")
    with pytest.raises(DatasetError, match=r"c\.avi"):
        read_dataset(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \r\n", "the file is empty"),
        (b"path,label\na.mp4,caf\xe9\n", r"line 2 is not UTF-8 text \(byte 20"),
        ("path,label\n", "lists no video"),
        ("a.mp4,walk\nb.mp4,run\n", "there is no 'path' among 'a.mp4', 'walk'; .* first line"),
        ("path,lable\na.mp4,walk\n", "no 'label' .* Did you mean lable"),
        ("path,label,strat\na.mp4,walk,1\n", "'strat' is not known, but close to 'start'"),
        ("path,label\na.mp4,walk,fast\n", "line 2: has 3 fields, the header 2"),
        ("path,label\na.mp4,\n", "line 2: label is empty"),
        ("path,label\n,walk\n", "line 2: path is empty"),
        ("path,label\na.mp4,wa\0lk\n", "line 2: (label is|line contains NUL)"),
        ('path,label\n"a.mp4,walk\n', "line 2|line 3"),
        ("path,label,start\na.mp4,walk,soon\n", "start is 'soon'; it must be a number of seconds"),
        ("path,label,end\na.mp4,walk,nan\n", "end is 'nan'"),
        ("path,label,start,end\na.mp4,w,3,3\n", "end is 3 s and start 3 s; end must lie after"),
    ],
)
def test_wrong_csv_lists(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=f"(?s)list.csv.*({message})"):
        read_dataset(a_list(tmp_path, text))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"videos": []}, "takes a list of objects with path and label, not a dict"),
        ([], "lists no video"),
        (["a.mp4"], "entry 0: is 'a.mp4'; it must be an object"),
        ([{"path": "a.mp4"}], "no 'label'"),
        ([{"path": "a.mp4", "label": True}], "label is True; it must be text"),
        ([{"path": "a.mp4", "label": None}], "label is empty"),
        ([{"path": "a.mp4", "label": "x", "end": []}], r"end is \[\]"),
        ([{"path": "a.mp4", "label": "x", "end": True}], "end is True"),
    ],
)
def test_wrong_json_lists(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_dataset(a_list(tmp_path, json.dumps(data), "list.json"))


def test_text_that_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"list\.json: this is not JSON"):
        read_dataset(a_list(tmp_path, "{", "list.json"))
    with pytest.raises(DatasetError, match="line 2: this is not JSON"):
        read_dataset(a_list(tmp_path, '{"path": "a.mp4", "label": "x"}\n[', "list.jsonl"))


def test_every_missing_video_is_listed(tmp_path: Path) -> None:
    rows = "".join(f"missing{i:02}.mp4,x\n" for i in range(25))
    path = a_list(tmp_path, "path,label\na.mp4,x\n" + rows)
    with pytest.raises(DatasetError) as caught:
        read_dataset(path)
    assert "25 of 26 videos are not there" in str(caught.value)
    assert "missing19.mp4" in str(caught.value)
    assert "missing20.mp4" not in str(caught.value)
    assert "and 5 more" in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    for error in (caught.value, again):
        assert [p.name for p in error.missing] == [f"missing{i:02}.mp4" for i in range(25)]
    with pytest.warns(UserWarning, match="25 of 26"):
        assert named(read_dataset(path, missing="skip")) == [("a.mp4", "x")]
    path.write_text("path,label\n" + rows)
    with pytest.raises(DatasetError, match="25 of 25"):
        read_dataset(path, missing="skip")
    with pytest.raises(ValueError, match="missing is 'ignore'"):
        read_dataset(path, missing="ignore")  # type: ignore[arg-type]


def test_names_that_no_file_can_have_are_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="1 of 1 videos are not there"):
        read_dataset(a_list(tmp_path, f"path,label\n{'x' * 5000}.mp4,walk\n"))


def test_missing_videos_of_other_subsets_do_not_matter(tmp_path: Path) -> None:
    path = a_list(tmp_path, "path,label,subset\na.mp4,x,train\nno.mp4,y,test\n")
    train = read_dataset(path, subset="train")
    assert named(train) == [("a.mp4", "x")]
    assert train.classes == ("x", "y")
    assert train.origin.endswith("list.csv (train)")


def test_subsets_that_are_not_there(tmp_path: Path) -> None:
    path = a_list(tmp_path, "path,label,subset\na.mp4,x,train\nb.mp4,x,fold7\n")
    assert named(read_dataset(path, subset="fold7")) == [("b.mp4", "x")]
    with pytest.raises(
        DatasetError, match=r"no subset 'fold8'; it has train, fold7\. Did you mean"
    ):
        read_dataset(path, subset="fold8")
    with pytest.raises(DatasetError, match="has no subsets; leave subset out"):
        read_dataset(a_list(tmp_path, "path,label\na.mp4,x\n"), subset="train")


def test_rows_that_are_there_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"1 row\(s\) are there twice"):
        videos = read_dataset(a_list(tmp_path, "path,label\na.mp4,x\nb.mp4,y\n./a.mp4,x\n"))
    assert named(videos) == [("a.mp4", "x"), ("b.mp4", "y")]
    with pytest.raises(DatasetError, match=r"classes 'x' and 'y'.*line 2.*line 3"):
        read_dataset(a_list(tmp_path, "path,label\na.mp4,x\na.mp4,y\n"))
    text = "path,label,subset\na.mp4,x,train\na.mp4,x,test\n"
    with pytest.raises(DatasetError, match="in the subsets train and test"):
        read_dataset(a_list(tmp_path, text), subset="train")


def test_parts_of_one_video_in_two_subsets(tmp_path: Path) -> None:
    header = "path,label,start,end,subset\n"
    both = "a.mp4,x,0,1,train\na.mp4,x,1,2,test\n"
    with pytest.warns(UserWarning, match=r"a\.mp4 are in more than one subset, which makes"):
        assert len(read_dataset(a_list(tmp_path, header + both))) == 2
    more = both.replace("a.mp4", "b.mp4")
    with pytest.warns(UserWarning, match="and so are those of 1 more"):
        assert len(read_dataset(a_list(tmp_path, header + both + more))) == 4


def test_classes_give_the_order(tmp_path: Path) -> None:
    path = a_list(tmp_path, "path,label\na.mp4,Air_Drumming\nb.mp4,zumba\n")
    classes = ["zumba", "abseiling", "air drumming"]
    assert read_dataset(path, classes=classes).labels == [2, 0]
    names = tmp_path / "classes.txt"
    names.write_text("\ufeff1 zumba\r\n2 abseiling\r\n3 air drumming\r\n", encoding="utf-8")
    assert read_dataset(path, classes=names).classes == tuple(classes)
    names.write_text("zumba\n2 abseiling\nair drumming\n")
    assert read_dataset(path, classes=str(names)).classes[1] == "2 abseiling"


def test_numbers_are_indices_of_given_classes_and_sorted_as_numbers_else(tmp_path: Path) -> None:
    path = a_list(tmp_path, "path,label\na.mp4,10\nb.mp4,9\n")
    assert read_dataset(path).classes == ("9", "10")
    names = [f"class {i}" for i in range(11)]
    assert read_dataset(path, classes=names).labels == [10, 9]
    with pytest.raises(DatasetError, match="label 10 is no index of the 10 classes given"):
        read_dataset(path, classes=names[:10])


def test_labels_that_match_no_given_class_are_listed(tmp_path: Path) -> None:
    path = a_list(tmp_path, "path,label\na.mp4,wolk\nb.mp4,fly\nc.mp4,run\n")
    with pytest.raises(DatasetError) as caught:
        read_dataset(path, classes=["walk", "run"])
    assert "2 label(s) are not among the 2 classes" in str(caught.value)
    assert "'wolk'. Did you mean walk?" in str(caught.value)
    assert "'fly'" in str(caught.value)


def test_wrong_class_lists(tmp_path: Path) -> None:
    path = a_list(tmp_path, "path,label\na.mp4,x\n")
    with pytest.raises(DatasetError, match="names 'x' more than once"):
        read_dataset(path, classes=["x", "x"])
    with pytest.raises(DatasetError, match="must hold class names"):
        read_dataset(path, classes=[])
    with pytest.raises(DatasetError, match="must hold class names"):
        read_dataset(path, classes=["x", 3])  # type: ignore[list-item]


@pytest.mark.parametrize("known", ["kinetics400", "ucf101", "hmdb51"])
def test_known_sets_have_the_order_of_the_pretrained_models(tmp_path: Path, known: str) -> None:
    names = shipped(known)
    rows = "".join(f'a.mp4,"{name.replace(" ", "_")}",{i}\n' for i, name in enumerate(names))
    path = a_list(tmp_path, "path,label,start\n" + rows)
    videos = read_dataset(path)
    assert videos.classes == names
    assert videos.labels == list(range(len(names)))


def test_lists_are_read_without_torch(tmp_path: Path) -> None:
    path = a_list(tmp_path, "path,label\na.mp4,x\n")
    code = (
        "import sys, c3dhub, c3dhub.learning.datasets; print(c3dhub.read_dataset(sys.argv[1])); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"VideoList(1 videos, 1 classes" in done.stdout


def test_public_names() -> None:
    assert {"VideoItem", "VideoList", "read_dataset"} <= set(c3dhub.__all__)
    assert c3dhub.read_dataset is read_dataset
    for name in c3dhub.learning.datasets.__all__:
        assert getattr(c3dhub.learning.datasets, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = c3dhub.learning.datasets.nothing
