"""Kinetics: the official CSV files, and videos named after their YouTube id and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ....base.errors import DatasetError
from ..rows import Found, Row, subset_name
from ..video_files import visible
from .tables import header_of, records_of

_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


def is_kinetics_csv(path: Path) -> bool:
    """Return whether this is a CSV file with Kinetics' columns."""
    try:
        is_csv = path.suffix.lower() == ".csv" and path.is_file()
        return is_csv and "youtube_id" in header_of(path)
    except DatasetError:
        return False


def kinetics_csvs(root: Path) -> list[Path]:
    """Return Kinetics' CSV files in a folder; a file is its own list."""
    return [path for path in (visible(root) if root.is_dir() else [root]) if is_kinetics_csv(path)]


def read_kinetics(root: Path, *, videos: Path | None) -> Found:
    """Read a CSV file ``label,youtube_id,time_start,time_end,split``, or all of a folder.

    The video is ``CLASS/ID_START_END.mp4``, times with six digits, in ``videos`` or else in the
    folder of the list. It is also looked for without the class, in a folder of the split, with
    underscores for the spaces of the class, and as another kind of file. Those files are trimmed
    already, so ``start`` and ``end`` stay empty.

    Classes are sorted by name, which for Kinetics-400 is the order of the pretrained models. For
    other sets (600, 700) it need not be that of any pretrained model.
    """
    files = kinetics_csvs(root)
    if not files:
        raise DatasetError(
            f"{root}: layout 'kinetics' needs a CSV file with the columns {', '.join(_COLUMNS)}, "
            "or a folder that holds some"
        )
    rows = [row for path in files for row in _rows(path, videos or path.parent)]
    if not rows:
        raise DatasetError(f"{root}: lists no video; below the header each line is one video")
    return Found(rows, str(root))


def _rows(path: Path, base: Path) -> Iterator[Row]:
    for place, values in records_of(path):
        absent = [name for name in _COLUMNS if name not in values]
        if absent:
            raise DatasetError(
                f"{path}: there is no column {absent[0]!r}; layout 'kinetics' needs "
                f"{', '.join(_COLUMNS)} (the test lists without labels are of no use here)"
            )
        label, split = values["label"].strip('"'), values["split"]
        if not label or not values["youtube_id"]:
            raise DatasetError(f"{place}: label or youtube_id is empty; each video needs both")
        first, *others = _places(base, label, split, _name(values, place))
        yield Row(
            first,
            label,
            place,
            subset=subset_name(split) or None,
            group=values["youtube_id"],
            elsewhere=tuple(others),
        )


def _name(values: dict[str, str], place: str) -> str:
    try:
        start, end = (int(float(values[name])) for name in ("time_start", "time_end"))
    except (ValueError, OverflowError):
        raise DatasetError(
            f"{place}: time_start is {values['time_start']!r} and time_end "
            f"{values['time_end']!r}; both must be seconds"
        ) from None
    return f"{values['youtube_id']}_{start:06d}_{end:06d}.mp4"


def _places(base: Path, label: str, split: str, name: str) -> Sequence[Path]:
    classes = dict.fromkeys((label, label.replace(" ", "_")))
    folders = [base, base / split] if split else [base]
    inside = [folder / known / name for folder in folders for known in classes]
    return [*inside, *(folder / name for folder in folders)]
