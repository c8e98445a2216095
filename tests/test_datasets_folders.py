"""Folders of classes, with subsets or without: what counts as a video there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_videos import named, touch
from make_video import write_image

from c3dhub.base.errors import DatasetError
from c3dhub.learning.datasets import list_subsets, read_dataset


def test_folders_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "walk/b.mp4", "walk/a.AVI", "Run fast/deep/er/c.webm", "empty/readme.txt")
    touch(tmp_path, ".hidden/a.mp4", "walk/.a.mp4", "walk/notes.txt", "__MACOSX/a.mp4", "x.mp4")
    touch(tmp_path, "walk/thumbnail_1.jpg", "Run fast/deep/er/2.png")
    with pytest.warns(UserWarning, match=r"1 video\(s\) lie in no folder of a class"):
        videos = read_dataset(tmp_path)
    assert named(videos) == [("c.webm", "Run fast"), ("a.AVI", "walk"), ("b.mp4", "walk")]
    assert videos.classes == ("Run fast", "empty", "walk")
    assert videos.counts == [1, 0, 2]
    assert videos.origin == str(tmp_path)
    (tmp_path / "x.mp4").unlink()
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
