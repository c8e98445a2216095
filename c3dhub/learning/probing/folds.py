"""Which videos are learned from and which are predicted: checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...base.errors import DatasetError, near_matches, some
from ..datasets.video_list import VideoList
from ..labelled import named

DEFAULT_FOLDS = 5
_MOST_NAMED = 8  # classes that a message lists
_TRIES = 20

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Positions of the videos that are learned from, and of those that are then predicted."""

    train: Positions
    test: Positions


def group_numbers(videos: VideoList) -> Positions:
    """Return the number of each video's group, int64 (n,); one without a group is its own."""
    names = [
        position if item.group is None else item.group for position, item in enumerate(videos.items)
    ]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def plan_folds(
    videos: VideoList, *, folds: int | None, leave_one_group_out: bool, seed: int
) -> list[Fold]:
    """Return the folds of a cross-validation in which every video is predicted once.

    Parameters
    ----------
    videos: every class of them with videos in at least two groups.
    folds: None is 5, or fewer where a class has fewer videos (or groups).
    leave_one_group_out: one fold for each group instead.
    seed: decides which videos go together.

    Raises DatasetError where that cannot be, ValueError for options that contradict each other.
    """
    from sklearn.model_selection import LeaveOneGroupOut  # optional package

    check_classes(videos)
    labels, groups = np.array(videos.labels, np.int64), group_numbers(videos)
    _check_groups(videos, groups)
    if leave_one_group_out:
        if folds is not None:
            raise ValueError(
                f"folds is {folds} and leave_one_group_out True, which has one fold for each "
                "group; leave one of them out"
            )
        if all(item.group is None for item in videos.items):
            raise DatasetError(
                f"{named(videos)}: no video has a group, so no group can be left out; name the "
                "groups in the list, or by a regular expression for the file names"
            )
        return [Fold(*pair) for pair in LeaveOneGroupOut().split(groups, groups=groups)]
    most = min(_group_counts(labels, groups).values())
    if folds is not None:
        _check_folds(videos, folds, most=most)
    return _stratified(labels, groups, n_folds=folds or min(DEFAULT_FOLDS, most), seed=seed)


def inner_folds(labels: Positions, groups: Positions, *, seed: int) -> list[Fold]:
    """Return folds for choosing a setting, none where a class has too few videos for that."""
    most = min(_group_counts(labels, groups).values())
    if most < 2:
        return []
    return _stratified(labels, groups, n_folds=min(DEFAULT_FOLDS, most), seed=seed)


def _group_counts(labels: Positions, groups: Positions) -> dict[int, int]:
    """Return label -> in how many groups the class has videos, for the classes that have any."""
    return {label: len(np.unique(groups[labels == label])) for label in np.unique(labels).tolist()}


def check_classes(videos: VideoList) -> None:
    """Raise DatasetError unless there are videos of at least two classes."""
    present = [name for name, count in zip(videos.classes, videos.counts, strict=True) if count]
    if not present:
        raise DatasetError(
            f"{named(videos)}: there is no video here; give videos of at least two classes"
        )
    if len(present) == 1:
        raise DatasetError(
            f"{named(videos)}: all videos are of class {present[0]!r}, so there is nothing to "
            "tell apart; add videos of another class"
        )


def matched(train: VideoList, test: VideoList) -> VideoList:
    """Return the test videos with the labels that the training videos' classes give their names.

    Raises DatasetError where a class is tested that has no video to learn from.
    """
    check_classes(train)
    if not test.items:
        raise DatasetError(f"{named(test)}: there is no video to test with; add some")
    numbers = {name: number for number, name in enumerate(train.classes)}
    known = [name for name, count in zip(train.classes, train.counts, strict=True) if count]
    tested = [test.classes[label] for label in sorted(set(test.labels))]
    unknown = [name for name in tested if name not in known]
    if unknown:
        raise DatasetError(
            f"{named(test)}: videos of {_listed(unknown)} are to be tested, but there is no "
            f"video of that name in {named(train)} to learn from; give both the same classes."
            f"{near_matches(unknown[0], known)}"
        )
    items = tuple(replace(item, label=numbers[test.classes[item.label]]) for item in test.items)
    return replace(test, items=items, classes=train.classes)


def _check_groups(videos: VideoList, groups: Positions) -> None:
    single = [name for name, count in zip(videos.classes, videos.counts, strict=True) if count == 1]
    if single:
        raise DatasetError(
            f"{named(videos)}: there is only one video of {_listed(single)}, which cannot "
            "be both learned from and tested; add videos, leave the class out, or give test videos"
        )
    counts = _group_counts(np.array(videos.labels), groups)
    alone = [videos.classes[label] for label, count in counts.items() if count == 1]
    if alone:
        raise DatasetError(
            f"{named(videos)}: all videos of {_listed(alone)} are in one group, which cannot be "
            "both learned from and tested; add groups, leave the class out, or give test videos"
        )


def _check_folds(videos: VideoList, folds: int, *, most: int) -> None:
    if not isinstance(folds, int) or isinstance(folds, bool) or folds < 2:
        raise ValueError(f"folds is {folds!r}; it must be a whole number of at least 2")
    if folds > most:
        grouped = any(item.group is not None for item in videos.items)
        what = "groups" if grouped else "videos"
        raise DatasetError(
            f"{named(videos)}: folds is {folds}, but a class has only {most} {what}; take at "
            f"most {most} folds, or add {what}"
        )


def _stratified(labels: Positions, groups: Positions, *, n_folds: int, seed: int) -> list[Fold]:
    """Return folds that keep groups whole, and in which every class is learned from."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # optional package

    grouped = len(np.unique(groups)) < len(groups)
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    for attempt in range(_TRIES):
        splitter = kind(n_folds, shuffle=True, random_state=seed + attempt)
        pairs = splitter.split(labels[:, None], labels, groups if grouped else None)
        found = [Fold(train, test) for train, test in pairs if len(test)]
        if all(set(labels[fold.test]) <= set(labels[fold.train]) for fold in found):
            return found
    raise DatasetError(
        f"the groups cannot be put into {n_folds} folds that leave videos of every class to learn "
        "from; take fewer folds, or leave one group out at a time"
    )


def _listed(names: Sequence[str]) -> str:
    kind = "class" if len(names) == 1 else "classes"
    return f"{kind} {some([repr(name) for name in names], most=_MOST_NAMED)}"
