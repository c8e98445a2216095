"""The JSON of ActivityNet, and the one of the same shape that the authors' tools write."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ....base.errors import DatasetError
from ..rows import Found, Row, subset_name
from .tables import load_json


def read_activitynet(path: Path, *, videos: Path | None) -> Found:
    """Read ``{"labels": [...], "database": {id: {"subset": ..., "annotations": ...}}}``.

    ``annotations`` is an object with ``label`` and optionally ``segment`` (the authors' tools), or
    a list of them (ActivityNet). A segment is [start, end] in seconds; only where an object has two
    whole numbers that begin at 0 or 1, it is the authors' count of frames, which is all of the
    video: then it is ignored, with a warning. Videos of the test subset may have no annotation, and
    are left out.

    A video lies at its ``video_path``, or else is looked for as ``CLASS/id``, ``id`` and ``v_id``
    in ``videos``, or in the folder of the file. ``labels`` gives the order of the classes.
    """
    data = load_json(path)
    if not isinstance(data, Mapping) or not isinstance(data.get("database"), Mapping):
        raise DatasetError(
            f"{path}: layout 'activitynet' needs an object with \"database\", which gives each "
            'video its "subset" and "annotations"'
        )
    base = path.parent if videos is None else videos
    rows, counted = [], 0
    for name, entry in data["database"].items():
        for row, in_frames in _rows(name, entry, f"{path}, {name}", base):
            rows.append(row)
            counted += in_frames
    if not rows:
        raise DatasetError(f"{path}: no video in it has a label")
    if counted:
        warnings.warn(
            f"{path}: {counted} segment(s) of whole numbers are taken for counts of frames, as the "
            "authors' tools write them: those videos are used as a whole. Write seconds with a "
            "decimal point, such as 5.0",
            stacklevel=2,
        )
    return Found(rows, str(path), _classes(data.get("labels"), path))


def _classes(labels: Any, path: Path) -> tuple[str, ...] | None:
    if labels is None:
        return None
    valid = isinstance(labels, list) and all(isinstance(name, str) and name for name in labels)
    if not valid or len(set(labels)) < len(labels):
        raise DatasetError(f'{path}: "labels" must be a list of names, each of them once')
    return tuple(labels)


def _rows(name: str, entry: Any, place: str, base: Path) -> Iterator[tuple[Row, bool]]:
    if not isinstance(entry, Mapping):
        raise DatasetError(f'{place}: is {entry!r}; it must hold "subset" and "annotations"')
    subset = subset_name(str(entry.get("subset") or "")) or None
    given = entry.get("annotations") or []
    parts = [given] if isinstance(given, Mapping) else given
    labelled = [part for part in parts if isinstance(part, Mapping) and part.get("label")]
    if len(labelled) < max(len(parts), 1) and subset != "test":
        raise DatasetError(f"{place}: has no label; only videos of the test subset may have none")
    for part in labelled:
        label, in_frames = str(part["label"]), False
        start, end = _segment(part.get("segment"), place)
        if isinstance(given, Mapping) and _counts_frames(part.get("segment")):
            start, end, in_frames = None, None, True
        first, *others = _places(name, label, entry.get("video_path"), base)
        row = Row(
            first, label, place, start, end, subset=subset, group=name, elsewhere=tuple(others)
        )
        yield row, in_frames


def _segment(value: Any, place: str) -> tuple[float | None, float | None]:
    if value is None:
        return None, None
    numbers = value if isinstance(value, list) else []
    valid = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    if len(numbers) != 2 or not valid:
        raise DatasetError(f"{place}: segment is {value!r}; it must be [start, end] in seconds")
    return float(numbers[0]), float(numbers[1])


def _counts_frames(segment: Any) -> bool:
    return bool(segment) and all(isinstance(n, int) for n in segment) and segment[0] in (0, 1)


def _places(name: str, label: str, video_path: Any, base: Path) -> list[Path]:
    named = [base / str(video_path)] if video_path else []
    return [*named, base / label / name, base / name, base / f"v_{name}"]
