"""What is on disk -> a list of labelled videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import get_args

from ...base.errors import DatasetError, near_matches
from .labelled_list import Missing, make_list, subsets_of
from .layouts.activitynet import read_activitynet
from .layouts.class_folders import read_folder
from .layouts.kinetics import read_kinetics
from .layouts.official import read_hmdb51, read_ucf101
from .layouts.tables import read_csv, read_json, read_jsonl
from .recognition import NEEDS, Layout, recognise
from .rows import Found
from .video_list import VideoList

_SPLITS = (1, 2, 3)
_FILES = ("csv", "json", "jsonl", "activitynet")


def read_dataset(
    path: str | PathLike[str],
    *,
    layout: Layout | None = None,
    subset: str | None = None,
    split: int = 1,
    videos: str | PathLike[str] | None = None,
    classes: Sequence[str] | str | Path | None = None,
    missing: Missing = "error",
) -> VideoList:
    """Return the labelled videos of a dataset, in its own order.

    Parameters
    ----------
    path: the folder or the list.
    layout: None recognises it.

        - ``"folder"``: ``CLASS/video`` or ``SUBSET/CLASS/video``; a folder of numbered images is a
          video too. Subsets are folders called train, val or test.
        - ``"csv"``, ``"json"``, ``"jsonl"``: path, label, and optionally start and end (seconds),
          subset, group. Paths start from the folder of the list, or from ``videos``.
        - ``"ucf101"``, ``"hmdb51"``: with the official split files.
        - ``"kinetics"``: the official CSV files, videos as ``CLASS/ID_START_END.mp4``.
        - ``"activitynet"``: ActivityNet's JSON, or that of the authors' tools.
    subset: ``"train"``, ``"val"``, ``"test"`` or a name of the list's own; None is all of it.
    split: 1, 2 or 3, of UCF-101 and HMDB-51.
    videos: the folder that the videos of a list lie in, where it is not that of the list.
    classes: names in the order of the labels, or a text file with one a line. None takes the
        layout's own order (``classInd.txt``, ``"labels"``); else that of Kinetics-400, UCF-101 or
        HMDB-51 where the names are theirs; else the names sorted. Names match without regard to
        capitals, spaces and underscores.
    missing: ``"error"``, or ``"skip"``: go on without the videos that are not there, and warn.

    A row that says the same again counts once, with a warning. The same video under two classes or
    in two subsets is an error; parts of one video in two subsets are worth a warning.

    Raises
    ------
    DatasetError: the list is wrong; ``missing`` of it holds all videos that are not there.
    ValueError: an option is wrong. OSError: the list cannot be read.

    Example: ``train = read_dataset("UCF-101", subset="train", split=1)``
    """
    if missing not in get_args(Missing):
        raise ValueError(f"missing is {missing!r}; it must be 'error' or 'skip'")
    found = _find(path, layout=layout, split=split, videos=videos)
    return make_list(found, subset=subset, classes=classes, missing=missing)


def list_subsets(
    path: str | PathLike[str],
    *,
    layout: Layout | None = None,
    split: int = 1,
    videos: str | PathLike[str] | None = None,
) -> tuple[str, ...]:
    """Return the subsets that a dataset comes with, such as ``("train", "test")``; often none.

    Parameters and errors are those of :func:`read_dataset`.
    """
    return subsets_of(_find(path, layout=layout, split=split, videos=videos).rows)


def _find(
    path: str | PathLike[str],
    *,
    layout: Layout | None,
    split: int,
    videos: str | PathLike[str] | None,
) -> Found:
    root = Path(path)
    if layout is not None and layout not in NEEDS:
        raise ValueError(
            f"layout is {layout!r}; it must be one of {', '.join(NEEDS)}, or None to recognise it."
            f"{near_matches(str(layout), NEEDS)}"
        )
    if split not in _SPLITS:
        raise ValueError(f"split is {split!r}; it must be 1, 2 or 3")
    if not root.exists():
        raise DatasetError(f"{root}: there is no such file or folder; check the path")
    base = None if videos is None else Path(videos)
    if base is not None and not base.is_dir():
        raise DatasetError(f"{base}: videos must be a folder, and there is none of that name")
    kind = recognise(root) if layout is None else layout
    _check_fits(root, kind, split=split, videos=base)
    readers: dict[Layout, Callable[[], Found]] = {
        "folder": lambda: read_folder(root),
        "csv": lambda: read_csv(root, videos=base),
        "json": lambda: read_json(root, videos=base),
        "jsonl": lambda: read_jsonl(root, videos=base),
        "ucf101": lambda: read_ucf101(root, split=split, videos=base),
        "hmdb51": lambda: read_hmdb51(root, split=split, videos=base),
        "kinetics": lambda: read_kinetics(root, videos=base),
        "activitynet": lambda: read_activitynet(root, videos=base),
    }
    return readers[kind]()


def _check_fits(root: Path, kind: Layout, *, split: int, videos: Path | None) -> None:
    """Raise an error for options that the layout has no use for."""
    if split != 1 and kind not in ("ucf101", "hmdb51"):
        raise ValueError(f"split is {split}, but only ucf101 and hmdb51 have splits, not {kind}")
    if videos is not None and kind == "folder":
        raise ValueError("videos is for lists; with layout 'folder' the videos are in the folder")
    if (kind in _FILES) == root.is_dir() and kind != "kinetics":
        raise DatasetError(f"{root}: layout {kind!r} takes {NEEDS[kind]}")
