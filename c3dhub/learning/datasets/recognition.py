"""Which layout a folder or a file has."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ...base.errors import DatasetError
from .layouts.class_folders import has_videos_in_folders
from .layouts.kinetics import is_kinetics_csv, kinetics_csvs
from .layouts.official import hmdb51_lists, ucf101_lists
from .layouts.tables import header_of, load_json
from .video_files import is_image_folder, visible

Layout = Literal["folder", "csv", "json", "jsonl", "ucf101", "hmdb51", "kinetics", "activitynet"]

NEEDS: dict[Layout, str] = {
    "folder": "a folder with CLASS/video.mp4 or train/CLASS/video.mp4",
    "csv": "a .csv file with the columns path and label",
    "json": "a .json file with a list of objects with path and label",
    "jsonl": "a .jsonl file with one such object a line",
    "ucf101": "a folder with ucfTrainTestlist/classInd.txt and the lists beside it",
    "hmdb51": "a folder with testTrainMulti_7030_splits/CLASS_test_split1.txt",
    "kinetics": "a .csv file with label, youtube_id, time_start, time_end, split, or its folder",
    "activitynet": 'a .json file with "labels" and "database"',
}


def recognise(path: Path) -> Layout:
    """Return the layout of what is at ``path``.

    Raises DatasetError where it has none, or more than one; the message says what each needs.
    """
    found = _of_folder(path) if path.is_dir() else _of_file(path)
    if len(found) == 1:
        return found[0]
    state = f"could be {' or '.join(map(repr, found))}" if found else "has none of these layouts"
    tried = "\n".join(f"  {name}: {needs}" for name, needs in NEEDS.items())
    remedy = "name the one that is meant with layout= (--layout)"
    raise DatasetError(f"{path} {state}; {remedy}\n{tried}{_hint(path)}")


def _of_file(path: Path) -> list[Layout]:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return ["kinetics"] if is_kinetics_csv(path) else ["csv"]
    if suffix in (".jsonl", ".ndjson"):
        return ["jsonl"]
    if suffix == ".json":
        data = load_json(path)
        return ["activitynet"] if isinstance(data, dict) and "database" in data else ["json"]
    return []


def _of_folder(path: Path) -> list[Layout]:
    found: list[Layout] = []
    if ucf101_lists(path) is not None:
        found.append("ucf101")
    if hmdb51_lists(path) is not None:
        found.append("hmdb51")
    if kinetics_csvs(path):
        found.append("kinetics")
    # Those have folders of classes too.
    if not found and has_videos_in_folders(path):
        found.append("folder")
        if _lists(path):
            found.append("csv")
    return found


def _hint(path: Path) -> str:
    if not path.is_dir():
        return ""
    if is_image_folder(path):
        return "\nIt holds images; those of one video are a folder inside the folder of a class"
    lists = _lists(path)
    return f"\nIt holds lists: give one of them instead, such as {lists[0]}" if lists else ""


def _lists(path: Path) -> list[Path]:
    """Return the CSV files in a folder that list videos."""
    return [file for file in visible(path) if file.suffix.lower() == ".csv" and _is_list(file)]


def _is_list(path: Path) -> bool:
    try:
        return {"path", "label"} <= set(header_of(path))
    except (DatasetError, OSError):
        return False
