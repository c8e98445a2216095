"""What the user names -> the videos to learn from and those to test with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...base.errors import DatasetError, some
from ..datasets import VideoList, list_subsets, read_dataset
from ..datasets.recognition import Layout
from ..labelled import held_back

_MOST_SHOWN = 5


@dataclass(frozen=True)
class DataChoice:
    """What to read of a dataset; the arguments of :func:`c3dhub.read_dataset`.

    ``test_subset`` is the subset to test with, ``subset`` the one to learn from; None takes what
    the dataset has.
    """

    subset: str | None = None
    test_subset: str | None = None
    layout: Layout | None = None
    split: int = 1
    videos: str | Path | None = None
    classes: Sequence[str] | str | Path | None = None


def read_parts(
    data: str | Path, *, test: str | Path | None, whole: bool, choice: DataChoice
) -> tuple[VideoList, VideoList | None]:
    """Return the videos to learn from and those to test with, None for a cross-validation.

    Where ``data`` has subsets, they are its training part and its test part (validation part, if
    there is no test part). ``test`` names other data to test with, of any layout. ``whole`` takes
    all videos of ``data`` (or of its chosen subset) together.

    Raises DatasetError, as :func:`c3dhub.read_dataset` does.
    """
    everything = _read(data, choice.subset, choice)
    if whole:
        return everything, None
    subsets = _subsets(data, choice) if choice.subset is None else ()
    train = _read(data, "train", choice) if "train" in subsets else everything
    if test is not None:
        return train, _test_part(test, choice.test_subset, DataChoice(split=choice.split))
    if choice.test_subset is not None:
        return train, _read(data, choice.test_subset, choice)
    tested = held_back(subsets)
    if tested is None or "train" not in subsets:
        return everything, None
    return train, _read(data, tested, choice)


def _test_part(path: str | Path, subset: str | None, choice: DataChoice) -> VideoList:
    everything = _read(path, subset, choice)
    tested = held_back(_subsets(path, choice)) if subset is None else None
    return everything if tested is None else _read(path, tested, choice)


def _subsets(path: str | Path, choice: DataChoice) -> tuple[str, ...]:
    return list_subsets(path, layout=choice.layout, split=choice.split, videos=choice.videos)


def _read(path: str | Path, subset: str | None, choice: DataChoice) -> VideoList:
    return read_dataset(
        path,
        layout=choice.layout,
        subset=subset,
        split=choice.split,
        videos=choice.videos,
        classes=choice.classes,
    )


def with_groups(videos: VideoList, pattern: str) -> VideoList:
    """Return the videos with the groups that a regular expression finds in their file names.

    ``pattern`` is searched in the name without its folder; the group is what the expression's
    own group ``(?P<group>...)`` matched, or its first one, or the whole match where it has none.

    Raises ValueError for a pattern that is no regular expression, DatasetError where names do not
    match; it lists them.
    """
    try:
        rule = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"groups is {pattern!r}, which is no regular expression: {error}; an example is "
            r"'_g(\d+)_'"
        ) from error
    which: int | str = "group" if "group" in rule.groupindex else min(1, rule.groups)
    names = [item.path.name for item in videos.items]
    groups = [match[which] if match else None for match in map(rule.search, names)]
    wrong = [name for name, group in zip(names, groups, strict=True) if group is None]
    if wrong:
        raise DatasetError(
            f"groups is {pattern!r}, but it finds no group in {len(wrong)} of {len(names)} names: "
            f"{some(wrong, most=_MOST_SHOWN)}; change the expression"
        )
    pairs = zip(videos.items, groups, strict=True)
    return replace(videos, items=tuple(replace(item, group=group) for item, group in pairs))
