"""c3dhub.probe: who is learned from, what is chosen, what is counted, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from labelled_videos import COLOURS, coloured_folder, coloured_list, coloured_video

import c3dhub
from c3dhub.base.errors import DatasetError
from c3dhub.learning.datasets import VideoItem, VideoList
from c3dhub.networks import VideoNetwork

SCENES = r"^scene(\d)_"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 15 videos of three colours, from three scenes."""
    return coloured_folder(tmp_path_factory.mktemp("colours") / "videos")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where the features of these videos are kept for the whole module."""
    return tmp_path_factory.mktemp("kept")


def listed(labels: str, groups: str = "") -> VideoList:
    """Return a list without files: a letter for the class of each video, one for its group."""
    classes = tuple(sorted(set(labels)))
    items = [
        VideoItem(Path(f"{i}.mp4"), classes.index(label), group=groups[i] if groups else None)
        for i, label in enumerate(labels)
    ]
    return VideoList(tuple(items), classes, "the letters")


# The whole way


def test_colours_are_told_apart(folder: Path, tiny: VideoNetwork, kept: Path) -> None:
    found = c3dhub.probe(folder, model=tiny, cache=kept)
    assert found.classes == tuple(COLOURS)
    assert (found.n_correct, len(found), found.n_train) == (15, 15, 15)
    assert found.chance == pytest.approx(1 / 3)
    assert found.protocol == "5-fold cross-validation, stratified"
    assert sorted(set(found.fold.tolist())) == [0, 1, 2, 3, 4]
    assert [*found.notes, *found.warnings, *found.broken] == []
    assert found.settings["clip_rule"]["clip_len"] == 16
    assert found.settings["n_columns"] == 64
    assert "100.0% of 15 videos" in repr(found)


@pytest.mark.parametrize("classifier", ["logistic", "knn"])
def test_the_same_call_gives_the_same_answer(
    classifier: Any, folder: Path, tiny: VideoNetwork, kept: Path
) -> None:
    options: dict[str, Any] = {"classifier": classifier, "groups": SCENES, "cache": kept}
    one, two = (c3dhub.probe(folder, model=tiny, **options).to_dict() for _ in range(2))
    assert one == two
    assert json.loads(json.dumps(one)) == one
    assert [video["group"] for video in one["videos"]] == list("00112" * 3)


def test_groups_are_left_out_whole(folder: Path, tiny: VideoNetwork, kept: Path) -> None:
    options: dict[str, Any] = {"model": tiny, "groups": SCENES, "cache": kept}
    found = c3dhub.probe(folder, leave_one_group_out=True, **options)
    assert found.protocol == "cross-validation, each of 3 groups left out once"
    for fold in range(3):
        assert (
            len({item.group for item, f in zip(found.items, found.fold, strict=True) if f == fold})
            == 1
        )
    whole = c3dhub.probe(folder, folds=2, **options)
    assert whole.protocol == "2-fold cross-validation, stratified, groups kept whole"


def test_videos_of_their_own_to_test_with(tiny: VideoNetwork, folder: Path, kept: Path) -> None:
    everything = coloured_list(folder)
    train, test = everything.pick([0, 1, 5, 6, 10, 11]), everything.pick([2, 7, 12, 13])
    # The same classes in another order: names decide, not numbers.
    turned = replace(
        test,
        classes=("red", "blue", "green", "unused"),
        items=tuple(replace(item, label=(item.label + 1) % 3) for item in test.items),
    )
    for tested in (test, turned):
        found = c3dhub.probe(train, test=tested, model=tiny, cache=kept)
        assert found.accuracy == 1
        assert found.truth.tolist() == [0, 1, 2, 2]
        assert found.counts.tolist() == [1, 1, 2]
        assert (found.n_train, len(found)) == (6, 4)
        assert found.protocol == "learned from 6 videos, tested on 4 others"
        assert found.chance == pytest.approx(1 / 4)


def test_subsets_of_a_dataset_are_used(
    folder: Path, tiny: VideoNetwork, tmp_path: Path, kept: Path
) -> None:
    for subset, numbers in (("train", "0123"), ("val", "4")):
        for colour in COLOURS:
            place = tmp_path / subset / colour
            place.mkdir(parents=True)
            for video in sorted((folder / colour).iterdir()):
                if video.stem[-1] in numbers:
                    (place / video.name).write_bytes(video.read_bytes())
    found = c3dhub.probe(tmp_path, model=tiny, cache=kept)
    assert (found.n_train, len(found)) == (12, 3)
    assert c3dhub.probe(tmp_path, model=tiny, cache=kept, folds=3).n_train == 15
    assert c3dhub.probe(folder, test=tmp_path, model=tiny, cache=kept).n_train == 15


def test_excerpts_of_one_video_are_videos_of_their_own(
    tiny: VideoNetwork, tmp_path: Path, kept: Path
) -> None:
    items = []
    for label, colour in enumerate(("blue", "red")):
        video = coloured_video(tmp_path / f"{colour}.mp4", colour, seed=label, frames=32)
        items += [VideoItem(video, label, start=i * 0.25, end=(i + 1) * 0.25) for i in range(4)]
    found = c3dhub.probe(VideoList(tuple(items), ("blue", "red")), model=tiny, cache=kept)
    assert (found.n_correct, len(found)) == (8, 8)
    assert found.to_dict()["videos"][1]["start"] == 0.25


def test_broken_videos_are_left_out_and_listed(
    folder: Path, tiny: VideoNetwork, tmp_path: Path, kept: Path
) -> None:
    whole = coloured_list(folder)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    videos = replace(whole, items=(VideoItem(bad, 0), *whole.items))
    found = c3dhub.probe(videos, model=tiny, cache=kept)
    assert len(found) == 15
    [broken] = found.broken
    assert (broken.path, broken.position) == (str(bad), 0)
    assert bad not in [item.path for item in found.items]
    tested = c3dhub.probe(whole, test=videos.pick([0, 1, 8]), model=tiny, cache=kept)
    assert (len(tested), tested.n_train, len(tested.broken)) == (2, 15, 1)
    assert "2 of 2 test videos have their file in common" in tested.notes[0]
    only = VideoList((VideoItem(bad, 0),) * 2 + (VideoItem(bad, 1),) * 2, ("a", "b"))
    with pytest.raises(DatasetError, match=r"none of the 4 videos can be read.*bad\.mp4"):
        c3dhub.probe(only, model=tiny, cache=kept)


def test_one_video_a_class_to_learn_from(folder: Path, tiny: VideoNetwork, kept: Path) -> None:
    everything = coloured_list(folder)
    for classifier in ("logistic", "knn"):
        found = c3dhub.probe(
            everything.pick([0, 5, 10]),
            test=everything.pick([1, 6, 11]),
            model=tiny,
            classifier=classifier,
            cache=kept,
        )
        assert found.accuracy == 1
        assert "not chosen by cross-validation" in found.notes[0]


# What is refused, before a video is read


NEVER_THERE: dict[str, Any] = {"model": "resnet50_kinetics"}  # loading it would be another error


@pytest.mark.parametrize(
    ("videos", "options", "text"),
    [
        (listed(""), {}, "there is no video"),
        (listed("aaa"), {}, "all videos are of class 'a'"),
        (listed("aabbc"), {}, "only one video of class 'c'"),
        (listed("aabbcd"), {}, "only one video of classes 'c', 'd'"),
        (listed("aabb"), {"folds": 3}, "folds is 3, but a class has only 2 videos"),
        (listed("aabb", "1211"), {}, "all videos of class 'b' are in one group"),
        (listed("aaabbb", "112112"), {"folds": 3}, "a class has only 2 groups"),
        (listed("aabb"), {"leave_one_group_out": True}, "no video has a group"),
        (listed("aabb"), {"test": listed("")}, "no video to test with"),
        (listed("aabb"), {"test": listed("ac")}, "videos of class 'c' are to be tested"),
        (listed("aabb"), {"groups": r"_(\d)"}, r"finds no group in 4 of 4 names: 0\.mp4"),
    ],
)
def test_data_that_cannot_be_probed(videos: VideoList, options: Any, text: str) -> None:
    with pytest.raises(DatasetError, match=text):
        c3dhub.probe(videos, **options, **NEVER_THERE)


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"classifier": "svm"}, ValueError, "classifier is 'svm'"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"folds": 1}, ValueError, "folds is 1"),
        ({"folds": True}, ValueError, "folds is True"),
        ({"folds": 2, "leave_one_group_out": True}, ValueError, "contradict|leave one"),
        ({"test": listed("ab"), "folds": 2}, ValueError, "there are test videos"),
        ({"test": "folder"}, TypeError, "both as lists or both as paths"),
        ({"groups": "("}, ValueError, "no regular expression"),
    ],
)
def test_options_that_contradict(options: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        c3dhub.probe(listed("aaabbb", "123123"), **options, **NEVER_THERE)


def test_a_path_and_a_list_do_not_mix(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="both as lists or both as paths"):
        c3dhub.probe(tmp_path, test=listed("ab"), **NEVER_THERE)


def test_near_names_of_classes_are_told() -> None:
    train = replace(listed("aabb"), classes=("running", "walking"))
    test = replace(listed("ab"), classes=("Running", "walking"))
    with pytest.raises(DatasetError, match="Did you mean running"):
        c3dhub.probe(train, test=test, **NEVER_THERE)
