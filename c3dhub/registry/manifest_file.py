"""The format of ``weights_manifest.json``: one JSON document -> checked entries.

An entry names its release, which brings the input contract, licence, citation and common sources,
and its data, which brings class names and terms. ``manifest_schema.json`` describes the same format
for other tools. Standard library only.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from ..base.errors import near_matches
from .config import InputContract, ModelConfig
from .entries import BundledFile, HubFile, License, ModelEntry, Source

SCHEMA_VERSION = 1
_ROOM = Path(__file__).resolve().parent
_RULES: dict[type, str] = {
    str: "text",
    int: "a whole number above 0",
    float: "a number above 0",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
T = TypeVar("T")


def natural_key(name: str) -> list[str | int]:
    """Return the sort key that puts resnet18 before resnet101."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def read_manifest(path: Path) -> dict[str, ModelEntry]:
    """Return name -> entry in natural order.

    Raises ValueError that names entry, field, value and rule, and OSError for an unreadable file.
    """
    text = path.read_text(encoding="utf-8-sig")
    top = _Reader(json.loads(text, object_pairs_hook=_without_duplicates), "the manifest")
    version = top.take("schema_version", int)
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"schema_version is {version}; this c3dhub reads {SCHEMA_VERSION}: update c3dhub"
        )
    top.take("about", str, default="")
    releases, data, models = (top.take(name, dict) for name in ("releases", "data", "models"))
    top.finish()
    entries = {}
    for name in sorted(models, key=natural_key):
        try:
            fields = _Reader(models[name], "the entry")
            entries[name] = _entry(name, fields, releases, data, path.parent)
        except (ValueError, TypeError) as error:
            raise ValueError(f"models.{name}: {error}") from error
    return entries


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # JSON would quietly keep the last of two entries with one name.
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{', '.join(twice)} is given twice in one object; keep one of them")
    return found


class _Reader:
    """One JSON object: gives its fields checked, then finds those that nobody asked for."""

    def __init__(self, value: object, where: str, prefix: str = "") -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {reprlib.repr(value)}; it must be an object")
        self._fields = dict(value)
        self._known: list[str] = []
        self._prefix = prefix

    def take(self, name: str, kind: type[T], *, default: T | None = None) -> T:
        """Return a field of one kind; null or a missing field gives the default."""
        self._known.append(name)
        value: Any = self._fields.pop(name, None)
        value = default if value is None else value
        if value is None:
            raise ValueError(f"{self._prefix}{name} is missing; it must be {_RULES[kind]}")
        # bool is an int to isinstance(), and JSON writes 1.0 as 1.
        right = type(value) is kind or (kind is float and type(value) is int)
        if not right or (kind in (int, float) and not 0 < value < float("inf")):
            shown = reprlib.repr(value)
            raise ValueError(f"{self._prefix}{name} is {shown}; it must be {_RULES[kind]}")
        return cast(T, value)

    def text_or_none(self, name: str) -> str | None:
        """Return a field that may be null or missing."""
        return self.take(name, str, default="") or None

    def numbers(self, name: str) -> list[float]:
        """Return a list of numbers, negative ones included."""
        values = self.take(name, list)
        if not values or any(type(value) not in (int, float) for value in values):
            raise ValueError(f"{self._prefix}{name} is {values}; it must be a list of numbers")
        return values

    def child(self, name: str) -> _Reader:
        """Return the reader of an object inside this one."""
        return _Reader(self.take(name, dict), name, f"{self._prefix}{name}.")

    def children(self, name: str) -> list[_Reader]:
        """Return the readers of a list of objects; none where it is missing."""
        rows = self.take(name, list, default=[])
        wheres = [f"{self._prefix}{name}[{index}]" for index in range(len(rows))]
        return [_Reader(row, where, f"{where}.") for row, where in zip(rows, wheres, strict=True)]

    def finish(self) -> None:
        """Refuse fields that have no meaning: most of them are misspelt."""
        for name in self._fields:
            hint = near_matches(name, self._known)
            raise ValueError(f"{self._prefix}{name} is not a known field; remove it.{hint}")


def _entry(
    name: str,
    fields: _Reader,
    releases: Mapping[str, Any],
    data: Mapping[str, Any],
    folder: Path,
) -> ModelEntry:
    """Put one entry together with the release and the data that it names."""
    release_name = fields.take("release", str)
    release = _shared(releases, "releases", release_name)
    trained_on = _shared(data, "data", fields.take("data", str))
    terms, license_ = trained_on.take("terms", str), release.child("license")
    class_names_file = trained_on.text_or_none("class_names_file")
    filename = fields.take("filename", str)
    config = ModelConfig(
        name=name,
        architecture=fields.take("architecture", str),
        num_classes=fields.take("num_classes", int),
        clip_len=fields.take("clip_len", int),
        input=_contract(release.child("input")),
        options=fields.take("options", dict, default={}),
        classes=_class_names(class_names_file, folder),
    )
    entry = ModelEntry(
        name=name,
        title=fields.take("title", str),
        release=release_name,
        release_title=release.take("title", str),
        config=config,
        data=trained_on.take("name", str),
        data_short=trained_on.take("short", str),
        class_names_file=class_names_file,
        classes_note=trained_on.take("classes_note", str, default=""),
        clip_len=config.clip_len,
        stages=_stages(fields.take("stages", dict)),
        parameters=fields.take("parameters", int),
        gflops=float(fields.take("gflops", float)),
        metrics=tuple(_metric(row) for row in fields.children("metrics")),
        metrics_note=fields.take("metrics_note", str, default=""),
        license=License(license_.take("code", str), license_.take("weights", str), terms),
        citation=release.take("bibtex", str),
        reference=release.take("reference", str),
        filename=filename,
        # The entry's own sources come first: they are files, the release's is often a folder.
        sources=tuple(
            _source(row, filename)
            for row in fields.children("sources") + release.children("sources")
        ),
        hub=_hub_file(fields),
        status=fields.take("status", str),
        note=fields.take("note", str, default=""),
        bundled=_bundled_file(fields, folder),
    )
    for reader in (fields, release, trained_on, license_):
        reader.finish()
    return entry


def _shared(table: Mapping[str, Any], table_name: str, name: str) -> _Reader:
    if name not in table:
        raise ValueError(f"{name!r} is not in {table_name}, which has {', '.join(table)}")
    return _Reader(table[name], f"{table_name}.{name}", f"{table_name}.{name}.")


def _contract(fields: _Reader) -> InputContract:
    contract = InputContract(
        max_value=float(fields.take("max_value", float)),
        mean=tuple(float(value) for value in fields.numbers("mean")),
        std=tuple(float(value) for value in fields.numbers("std")),
        resize_mode=fields.take("resize_mode", str),  # type: ignore[arg-type]  # it checks
        resize_size=tuple(int(value) for value in fields.numbers("resize_size")),
        antialias=fields.take("antialias", bool),
        crop_size=fields.take("crop_size", int),
    )
    fields.finish()
    return contract


def _class_names(file: str | None, folder: Path) -> tuple[str, ...] | None:
    """Read one name per line from a path relative to the manifest, or to the package."""
    return None if file is None else _lines(_beside_or_packaged(file, folder))


def _beside_or_packaged(file: str, folder: Path) -> Path:
    beside = folder / file  # an absolute ``file`` stays as it is
    return beside if beside.is_file() else _ROOM / file


@lru_cache(maxsize=32)
def _lines(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"class_names_file is {path}; it must be a text file with one name per line: "
            f"{error.strerror}"
        ) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _stages(stages: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    for name, shape in stages.items():
        whole = isinstance(shape, list) and all(type(n) is int and n > 0 for n in shape)
        if not whole or len(shape) not in (1, 4):
            raise ValueError(
                f"stages.{name} is {reprlib.repr(shape)}; it must be [C, T, H, W] or [D]"
            )
    if "avgpool" not in stages:
        raise ValueError("stages.avgpool is missing; it must be [D], the pooled features")
    return {name: tuple(shape) for name, shape in stages.items()}


def _metric(fields: _Reader) -> dict[str, Any]:
    metric: dict[str, Any] = {n: fields.take(n, str) for n in ("dataset", "metric", "protocol")}
    metric["value"] = fields.take("value", float)
    fields.finish()
    return metric


def _source(fields: _Reader, filename: str) -> Source:
    source = Source(
        kind=fields.take("kind", str),
        location=fields.take("location", str),
        filename=fields.take("filename", str, default=filename),
        note=fields.take("note", str, default=""),
        sha256=fields.text_or_none("sha256"),
        sha1=fields.text_or_none("sha1"),
        sha256_prefix=fields.text_or_none("sha256_prefix"),
    )
    fields.finish()
    return source


def _hub_file(entry: _Reader) -> HubFile | None:
    value = entry.take("hub", dict, default={})
    if not value:
        return None
    fields = _Reader(value, "hub", "hub.")
    names = ("repo_id", "filename", "revision", "sha256")
    texts = {name: fields.take(name, str) for name in names}
    hub = HubFile(**texts, size=fields.take("size", int))
    fields.finish()
    return hub


def _bundled_file(entry: _Reader, folder: Path) -> BundledFile | None:
    value = entry.take("bundled", dict, default={})
    if not value:
        return None
    fields = _Reader(value, "bundled", "bundled.")
    path = _beside_or_packaged(fields.take("path", str), folder)
    file = BundledFile(str(path), fields.take("sha256", str), fields.take("size", int))
    fields.finish()
    return file
