"""Setting videos aside, and what is said of lists that nothing can be learned from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c3dhub.base.errors import DatasetError
from c3dhub.learning.datasets import VideoItem, VideoList, check_training, hold_out

# How fast the machine is must not matter.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def a_list(*labels: int, groups: str | None = None, origin: str = "list.csv") -> VideoList:
    """Return one video per label; ``groups`` has one letter for each."""
    items = tuple(
        VideoItem(Path(f"{i}.mp4"), label, group=groups[i] if groups else None)
        for i, label in enumerate(labels)
    )
    classes = tuple(f"class {label}" for label in range(max(labels, default=0) + 1))
    return VideoList(items, classes, origin)


@UNHURRIED
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcdefgh")), min_size=2, max_size=60),
    st.floats(0.05, 0.95),
    st.integers(0, 100),
)
def test_groups_stay_whole_and_nothing_is_lost(
    videos: list[tuple[int, str]], fraction: float, seed: int
) -> None:
    whole = a_list(*(label for label, _ in videos), groups="".join(g for _, g in videos))
    try:
        kept, aside = hold_out(whole, fraction=fraction, seed=seed)
    except DatasetError:
        # Then no group could go without taking the last videos of a class along.
        left = [Counter(whole.labels) for _ in "abcdefgh"]
        for counts, name in zip(left, "abcdefgh", strict=True):
            own = Counter(item.label for item in whole.items if item.group == name)
            assert not own or any(counts[label] == count for label, count in own.items())
        return
    assert {i.group for i in kept.items}.isdisjoint(i.group for i in aside.items)
    assert sorted([*kept.items, *aside.items], key=str) == sorted(whole.items, key=str)
    assert list(kept.items) == [item for item in whole.items if item in set(kept.items)]
    assert set(kept.labels) == set(whole.labels)
    assert kept.classes == aside.classes == whole.classes
    assert hold_out(whole, fraction=fraction, seed=seed) == (kept, aside)


@UNHURRIED
@given(st.lists(st.integers(2, 30), min_size=1, max_size=6), st.floats(0.05, 0.95))
def test_each_class_gives_its_share(counts: list[int], fraction: float) -> None:
    whole = a_list(*(label for label, count in enumerate(counts) for _ in range(count)))
    kept, aside = hold_out(whole, fraction=fraction)
    for count, left, held in zip(counts, kept.counts, aside.counts, strict=True):
        assert left >= 1
        assert held >= 1
        assert abs(held - fraction * count) <= 1


def test_other_seeds_hold_out_others() -> None:
    whole = a_list(*[0, 1] * 50)
    chosen = {tuple(hold_out(whole, seed=seed)[1].items) for seed in range(5)}
    assert len(chosen) == 5
    assert all(len(items) == 20 for items in chosen)


def test_parts_of_one_file_stay_together() -> None:
    parts = tuple(VideoItem(Path(f"{i % 5}.mp4"), 0, i, i + 1) for i in range(20))
    kept, aside = hold_out(VideoList(parts, ("walk",)))
    assert len(aside) == 4
    assert {i.path for i in kept.items}.isdisjoint(i.path for i in aside.items)


def test_a_class_with_one_video_keeps_it() -> None:
    kept, aside = hold_out(a_list(0, 0, 0, 1))
    assert kept.counts[1] == 1
    assert aside.counts == [1, 0]
    with pytest.raises(DatasetError, match=r"list\.csv: no video can be held out"):
        hold_out(a_list(0, 1))


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan")])
def test_fractions_that_are_none(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction is"):
        hold_out(a_list(0, 0), fraction=fraction)


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_seeds_that_are_none(seed: int) -> None:
    with pytest.raises(ValueError, match="seed is"):
        hold_out(a_list(0, 0), seed=seed)


def test_lists_that_training_can_use() -> None:
    train, val = hold_out(a_list(0, 0, 1, 1))
    check_training(train)
    check_training(train, val)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (a_list(), r"list\.csv: holds no video"),
        (a_list(0, 0), "has the class 'class 0' alone"),
        (a_list(0, 2), "has 2 videos for 3 classes; .*1 classes have no training video.*class 1"),
        (a_list(0, 0, 2), "1 classes have no training video; .*class 1"),
        (a_list(0, 0, 30, origin=""), "the training list: .*29 classes .*and 9 more"),
    ],
)
def test_lists_that_nothing_can_be_learned_from(train: VideoList, message: str) -> None:
    with pytest.raises(DatasetError, match=f"(?s){message}"):
        check_training(train)


def test_validation_that_says_nothing() -> None:
    train = a_list(0, 1, 2, 3)
    with pytest.raises(DatasetError, match="the validation list: holds no video to validate"):
        check_training(train, VideoList((), train.classes))
    with pytest.raises(DatasetError, match=r"classes are 'class 0', those of .*and 1 more"):
        check_training(train, a_list(0))
    with pytest.raises(DatasetError, match=r"(?s)4 videos are in the training list too.*3\.mp4"):
        check_training(train, train)


def test_parts_of_one_file_may_be_in_both_lists_unless_they_overlap() -> None:
    def part(label: int, start: float | None, end: float | None) -> VideoItem:
        return VideoItem(Path("a.mp4"), label, start, end)

    classes = ("walk", "run")
    train = VideoList((part(0, None, 2), part(1, 5, 6)), classes)
    check_training(train, VideoList((part(0, 2, 5), part(1, 6, None)), classes))
    with pytest.raises(DatasetError, match="1 videos are in the training list too"):
        check_training(train, VideoList((part(0, 1.5, 3),), classes))


def test_values_that_no_video_has() -> None:
    with pytest.raises(ValueError, match="label is -1; it must be an index"):
        VideoItem(Path("a.mp4"), -1)
    with pytest.raises(ValueError, match=r"a\.mp4: end is 1 s and start 2 s"):
        VideoItem(Path("a.mp4"), 0, 2, 1)
    with pytest.raises(ValueError, match="classes names 'x' more than once"):
        VideoList((), ("x", "x"))
    with pytest.raises(ValueError, match=r"a\.mp4 has label 1, but there are 1 classes"):
        VideoList((VideoItem(Path("a.mp4"), 1),), ("x",))
    assert repr(a_list(0, 1)) == "VideoList(2 videos, 2 classes, 'list.csv')"
