"""UCF-101 and HMDB-51 with the split files that come with them, three splits each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ....base.errors import DatasetError
from ..rows import Found, Row
from ..video_files import read_lines

UCF101_LISTS = "ucfTrainTestlist"
HMDB51_LISTS = "testTrainMulti_7030_splits"
_UCF101_VIDEOS = ("UCF-101", "UCF101")
_HMDB51_VIDEOS = ("hmdb51_org", "hmdb51", "HMDB51", "HMDB-51")
_HMDB51_SUBSETS = {"0": None, "1": "train", "2": "test"}


def ucf101_lists(root: Path) -> Path | None:
    """Return the folder of UCF-101's lists that belongs to ``root``."""
    return _lists(root, UCF101_LISTS, "classInd.txt", _UCF101_VIDEOS)


def hmdb51_lists(root: Path) -> Path | None:
    """Return the folder of HMDB-51's split files that belongs to ``root``."""
    return _lists(root, HMDB51_LISTS, "*_test_split1.txt", _HMDB51_VIDEOS)


def read_ucf101(root: Path, *, split: int, videos: Path | None) -> Found:
    """Read ``CLASS/video`` with ``ucfTrainTestlist/{classInd,trainlist0N,testlist0N}.txt``.

    Classes come in the order of ``classInd.txt``. The videos lie in ``videos``, or else in
    ``UCF-101`` beside the lists, or beside the lists themselves. A group is the people and the
    place of a class's ``_gNN_``.
    """
    lists = _required(ucf101_lists(root), root, "ucf101", f"{UCF101_LISTS}/classInd.txt")
    classes = _class_index(lists / "classInd.txt")
    base = _videos(lists, videos, _UCF101_VIDEOS)
    rows = [
        row
        for subset in ("train", "test")
        for row in _ucf101_rows(lists / f"{subset}list{split:02d}.txt", subset, classes, base)
    ]
    return Found(rows, f"{root} (UCF-101, split {split})", tuple(classes.values()))


def _class_index(path: Path) -> dict[int, str]:
    classes: dict[int, str] = {}
    for place, line in read_lines(_there(path)):
        number, _, name = line.partition(" ")
        if not number.isdecimal() or not name.strip() or int(number) in classes:
            raise DatasetError(
                f"{place}: is {line!r}; each line is a number and a class of its own"
            )
        classes[int(number)] = name.strip()
    return dict(sorted(classes.items()))


def _ucf101_rows(path: Path, subset: str, classes: dict[int, str], base: Path) -> Iterator[Row]:
    for place, line in read_lines(_there(path)):
        # Test lists name the video alone, training lists the number of its class after it.
        match = re.fullmatch(r"([^/\\]+)[/\\](.+?)(?:\s+(\d+))?", line)
        if match is None or match[1] not in classes.values():
            raise DatasetError(
                f"{place}: is {line!r}; each line is CLASS/video.avi of classInd.txt"
            )
        label, name, number = match.groups()
        if number is not None and classes.get(int(number)) != label:
            raise DatasetError(
                f"{place}: class {number} is {classes.get(int(number))!r} in classInd.txt, but the "
                f"video lies in {label!r}"
            )
        group = re.search(r"_(g\d+)_c\d+", name)
        yield Row(
            base / label / name,
            label,
            place,
            subset=subset,
            group=f"{label}_{group[1]}" if group else None,
        )


def read_hmdb51(root: Path, *, split: int, videos: Path | None) -> Found:
    """Read ``CLASS/video`` with ``testTrainMulti_7030_splits/CLASS_test_splitN.txt``.

    In those files 1 is training, 2 is test, and 0 is left out of the split. The videos lie in
    ``videos``, or else in ``hmdb51_org`` (or ``hmdb51``) beside the lists, or beside the lists
    themselves.
    """
    needed = f"{HMDB51_LISTS}/CLASS_test_split1.txt"
    lists = _required(hmdb51_lists(root), root, "hmdb51", needed)
    base = _videos(lists, videos, _HMDB51_VIDEOS)
    ending = f"_test_split{split}.txt"
    files = sorted(path for path in lists.iterdir() if path.name.endswith(ending))
    if not files:
        raise DatasetError(f"{lists}: holds no CLASS{ending}; unpack all split files there")
    of_class = {path.name.removesuffix(ending): path for path in files}
    rows = [row for name, path in of_class.items() for row in _hmdb51_rows(path, name, base)]
    return Found(rows, f"{root} (HMDB-51, split {split})", empty=tuple(of_class))


def _hmdb51_rows(path: Path, label: str, base: Path) -> Iterator[Row]:
    for place, line in read_lines(path):
        name, _, number = line.rpartition(" ")
        if not name.strip() or number not in _HMDB51_SUBSETS:
            raise DatasetError(
                f"{place}: is {line!r}; each line is a video and 1 (training), 2 (test) or 0"
            )
        subset = _HMDB51_SUBSETS[number]
        if subset is not None:
            yield Row(base / label / name.strip(), label, place, subset=subset)


def _lists(root: Path, name: str, mark: str, videos: tuple[str, ...]) -> Path | None:
    beside = [root.parent / name] if root.name in videos else []
    candidates = [root, root / name, *sorted(root.glob(f"*/{name}")), *beside]
    return next((path for path in candidates if path.is_dir() and any(path.glob(mark))), None)


def _required(lists: Path | None, root: Path, layout: str, needed: str) -> Path:
    if lists is None:
        raise DatasetError(
            f"{root}: layout {layout!r} needs the official split files, {needed}, in this folder; "
            "unpack them there"
        )
    return lists


def _videos(lists: Path, videos: Path | None, names: tuple[str, ...]) -> Path:
    if videos is not None:
        return videos
    return next((lists.parent / n for n in names if (lists.parent / n).is_dir()), lists.parent)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise DatasetError(f"{path}: this split file is not there; unpack all of them")
    return path
