"""CSV, JSON and JSON Lines: ``path``, ``label``, and optionally ``start, end, subset, group``."""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ....base.errors import DatasetError, near_matches
from ..rows import Found, Row, subset_name
from ..video_files import read_lines, read_text

_REQUIRED = ("path", "label")
_KNOWN = (*_REQUIRED, "start", "end", "subset", "group")


def read_csv(path: Path, *, videos: Path | None) -> Found:
    """Read a table whose first line names the columns; other columns than the known are ignored.

    The separator is a comma, semicolon or tab, whichever the header has. Paths are relative to
    ``videos``, or else to the folder of the list.
    """
    return _found(path, records_of(path), videos)


def read_json(path: Path, *, videos: Path | None) -> Found:
    """Read a JSON list of objects."""
    data = load_json(path)
    if not isinstance(data, list):
        raise DatasetError(
            f"{path}: layout 'json' takes a list of objects with path and label, not a "
            f"{type(data).__name__}"
        )
    return _found(path, ((f"{path}, entry {i}", value) for i, value in enumerate(data)), videos)


def read_jsonl(path: Path, *, videos: Path | None) -> Found:
    """Read one JSON object a line."""
    lines = ((place, _parsed(line, place)) for place, line in read_lines(path))
    return _found(path, lines, videos)


def load_json(path: Path) -> Any:
    """Return what a JSON file holds. Raises DatasetError where it is not JSON."""
    return _parsed(read_text(path), str(path))


def header_of(path: Path) -> list[str]:
    """Return the columns that the first line of a CSV file names, in lower case."""
    first = read_text(path).lstrip("\r\n").splitlines()[0]
    return _split(first, _separator(first))


def records_of(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (place, values by column) for each row of a CSV file that is not empty."""
    text = read_text(path)
    separator = _separator(text.lstrip("\r\n").splitlines()[0])
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns: list[str] = []
    try:
        for fields in lines:
            place = f"{path}, line {lines.line_num}"
            if not any(field.strip() for field in fields):
                continue
            if not columns:
                columns = [field.strip().lower() for field in fields]
                continue
            if len(fields) != len(columns):
                raise DatasetError(
                    f"{place}: has {len(fields)} fields, the header {len(columns)}; put names that "
                    f"hold a {separator!r} between double quotes"
                )
            yield place, dict(zip(columns, (field.strip() for field in fields), strict=True))
    except csv.Error as error:
        raise DatasetError(f"{path}, line {lines.line_num}: {error}") from error


def _separator(header: str) -> str:
    found = [mark for mark in ",;\t" if set(_REQUIRED) <= set(_split(header, mark))]
    return found[0] if found else ","


def _split(header: str, separator: str) -> list[str]:
    return [name.strip(' "').lower() for name in header.split(separator)]


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DatasetError(f"{place}: this is not JSON: {error}") from error


def _found(
    path: Path, records: Iterable[tuple[str, Mapping[str, Any]]], videos: Path | None
) -> Found:
    base = path.parent if videos is None else videos
    rows: list[Row] = []
    for place, values in records:
        if not rows:
            _check_columns(values, path if path.suffix.lower() in (".csv", ".tsv") else place)
        rows.append(_row(values, place, base))
    if not rows:
        raise DatasetError(f"{path}: lists no video; below the header each line is one video")
    return Found(rows, str(path))


def _check_columns(values: Any, place: object) -> None:
    """Raise DatasetError where a required column is missing, or an optional one misspelt."""
    if not isinstance(values, Mapping):
        return  # said of each row
    for name in _REQUIRED:
        if name not in values:
            raise DatasetError(
                f"{place}: there is no {name!r} among {', '.join(map(repr, values))}; a list needs "
                f"the columns path and label, named in its first line.{near_matches(name, values)}"
            )
    for name in values:
        meant = difflib.get_close_matches(str(name), _KNOWN, n=1, cutoff=0.8)
        if meant and name not in _KNOWN:
            raise DatasetError(
                f"{place}: {name!r} is not known, but close to {meant[0]!r}; rename or remove it"
            )


def _row(values: Any, place: str, base: Path) -> Row:
    if not isinstance(values, Mapping):
        raise DatasetError(f"{place}: is {values!r}; it must be an object with path and label")
    texts = {name: _text(values, name, place) for name in ("path", "label", "subset", "group")}
    for name in _REQUIRED:
        if not texts[name]:
            raise DatasetError(f"{place}: {name} is empty; each video needs a path and a label")
    start, end = (_seconds(values.get(name), name, place) for name in ("start", "end"))
    return Row(
        base / texts["path"],
        texts["label"],
        place,
        start=start,
        end=end,
        subset=subset_name(texts["subset"]) or None,
        group=texts["group"] or None,
    )


def _text(values: Mapping[str, Any], name: str, place: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or "\0" in str(value):
        raise DatasetError(f"{place}: {name} is {value!r}; it must be text")
    return str(value).strip()


def _seconds(value: object, name: str, place: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError
        seconds = float(value)
        if not math.isfinite(seconds):
            raise ValueError
    except ValueError:
        raise DatasetError(
            f"{place}: {name} is {value!r}; it must be a number of seconds, such as 12.5, or empty"
        ) from None
    return seconds
