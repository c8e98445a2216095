"""Rows -> VideoList: one subset, labels as numbers, every file there, nothing twice."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from ...base.errors import DatasetError, near_matches, shortened
from .class_numbers import class_order, labels_of
from .rows import Found, Row, subset_name
from .video_files import locate
from .video_list import VideoItem, VideoList

Missing = Literal["error", "skip"]


def make_list(
    found: Found,
    *,
    subset: str | None,
    classes: Sequence[str] | str | Path | None,
    missing: Missing,
) -> VideoList:
    """Return the videos of a subset. Raises DatasetError for everything that is wrong."""
    names = class_order(found, classes)
    labels = labels_of({row.label for row in found.rows}, names, origin=found.origin)
    chosen = _of_subset(without_repeats(found.rows, origin=found.origin), subset, found.origin)
    located = [(row, _path_of(row)) for row in chosen]
    _check_missing([row for row, path in located if path is None], len(chosen), missing, found)
    items = (
        VideoItem(path, labels[row.label], start=row.start, end=row.end, group=row.group)
        for row, path in located
        if path is not None
    )
    origin = found.origin if subset is None else f"{found.origin} ({subset_name(subset)})"
    return VideoList(tuple(items), names, origin)


def subsets_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return the names of the subsets, in the order in which they come."""
    return tuple(dict.fromkeys(row.subset for row in rows if row.subset is not None))


def without_repeats(rows: Sequence[Row], *, origin: str) -> list[Row]:
    """Return the rows without those that say the same again, with a warning.

    Raises DatasetError where the same video, or the same part of one, has two classes or is in two
    subsets. Different parts of one video in two subsets are worth a warning.
    """
    kept: dict[tuple[str, float | None, float | None], Row] = {}
    where: dict[str, str | None] = {}
    shared: list[str] = []
    for row in rows:
        video = os.path.normpath(row.path)
        first = kept.setdefault((video, row.start, row.end), row)
        if first is not row:
            _check_same(first, row)
        elif where.setdefault(video, row.subset) != row.subset:
            shared.append(video)
    if len(kept) < len(rows):
        _warn(f"{origin}: {len(rows) - len(kept)} row(s) are there twice; each counts once")
    if shared:
        _warn(f"{origin}: parts of {shared[0]} are in more than one subset, {_more(shared)}")
    return list(kept.values())


def _check_same(first: Row, again: Row) -> None:
    if first.label != again.label:
        wrong = f"has the classes {first.label!r} and {again.label!r}; a video has one class"
    elif first.subset != again.subset:
        wrong = (
            f"is in the subsets {first.subset} and {again.subset}; what was trained on cannot be a "
            "test"
        )
    else:
        return
    raise DatasetError(f"{again.path} {wrong} ({first.place}; {again.place})")


def _more(paths: list[str]) -> str:
    count = len(set(paths)) - 1
    return f"and so are those of {count} more videos" if count else "which makes results too good"


def _of_subset(rows: list[Row], subset: str | None, origin: str) -> list[Row]:
    if subset is None:
        return rows
    known = subsets_of(rows)
    wanted = subset_name(subset)
    if not known:
        raise DatasetError(
            f"{origin}: subset is {subset!r}, but this dataset has no subsets; leave subset out, "
            "or set some videos aside with c3dhub.learning.datasets.hold_out"
        )
    if wanted not in known:
        raise DatasetError(
            f"{origin}: there is no subset {subset!r}; it has {', '.join(known)}."
            f"{near_matches(subset, known)}"
        )
    return [row for row in rows if row.subset == wanted]


def _path_of(row: Row) -> Path | None:
    return next(filter(None, map(locate, (row.path, *row.elsewhere))), None)


def _check_missing(rows: list[Row], total: int, missing: Missing, found: Found) -> None:
    if not rows:
        return
    lines = [f"  {row.path} ({row.place})" for row in rows]
    message = f"{found.origin}: {len(rows)} of {total} videos are not there:\n{shortened(lines)}"
    paths = [row.path for row in rows]
    if missing == "skip" and len(rows) < total:
        _warn(message)
        return
    remedy = "\nCheck the paths, and videos=, the folder that they start from"
    if missing == "error" and len(rows) < total:
        remedy += "; missing='skip' goes on without them"
    raise DatasetError(message + remedy, missing=paths)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=2)
