"""``weights_manifest.json`` -> checked entries.

A model names its release, which brings the input contract, licence, citation and common sources,
and its data, which brings class names and terms. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from .config import InputContract, ModelConfig
from .entries import License, ModelEntry, ModelFields, Source, Terms
from .json_fields import read

SCHEMA_VERSION = 1
_ROOM = Path(__file__).resolve().parent
T = TypeVar("T")


@dataclass(frozen=True)
class Release:
    """What all models of one release share; ``reference`` is the paper in one line."""

    title: str
    reference: str
    bibtex: str
    license: Terms
    input: InputContract
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Data:
    """What a model was trained on, and so what its classes are called.

    ``short`` is for tables. ``terms`` is the data's licence, or says that it is not stated.
    ``class_names_file`` has one name per line; it is relative to the manifest or to this package's
    folder. ``classes_note`` says why there are no names.
    """

    name: str
    short: str
    terms: str
    class_names_file: str | None = None
    classes_note: str = ""

    def __post_init__(self) -> None:
        if (self.class_names_file is None) == (self.classes_note == ""):
            raise ValueError(
                "class_names_file: give either class_names_file or classes_note, which says why not"
            )


@dataclass(frozen=True, kw_only=True)
class Model(ModelFields):
    """A model in the manifest.

    ``release`` and ``data`` are keys of the manifest's tables, ``architecture`` is one of
    ``c3dhub.networks.ARCHITECTURES`` and ``options`` are that architecture's own.
    """

    architecture: str
    data: str
    num_classes: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """The whole file."""

    schema_version: int
    releases: Mapping[str, Release]
    data: Mapping[str, Data]
    models: Mapping[str, Any]  # each is a Model, read by itself
    about: str = ""


def natural_key(name: str) -> list[str | int]:
    """Return the sort key that puts resnet18 before resnet101."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def read_manifest(path: Path) -> dict[str, ModelEntry]:
    """Return name -> entry in natural order.

    Raises ValueError that names entry, field, value and rule, and OSError for an unreadable file.
    """
    text = path.read_text(encoding="utf-8-sig")
    document = json.loads(text, object_pairs_hook=_without_duplicates)
    _check_version(document)
    manifest = read(Manifest, document, "the manifest")
    classes = {name: _class_names(name, d, path.parent) for name, d in manifest.data.items()}
    entries = {}
    for name in sorted(manifest.models, key=natural_key):
        try:
            model = read(Model, manifest.models[name], "the entry")
            entries[name] = _entry(name, model, manifest, classes, path.parent)
        except ValueError as error:
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


def _check_version(document: Any) -> None:
    # Before anything else: what a later version changed would only look wrong.
    version = document.get("schema_version") if isinstance(document, dict) else None
    if type(version) is int and version != SCHEMA_VERSION:
        raise ValueError(
            f"schema_version is {version}; this c3dhub reads {SCHEMA_VERSION}: update c3dhub"
        )


def _class_names(name: str, data: Data, folder: Path) -> tuple[str, ...] | None:
    if data.class_names_file is None:
        return None
    path = _beside_or_packaged(data.class_names_file, folder)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"data.{name}.class_names_file is {path}; it must be a text file with one name per "
            f"line: {error.strerror}"
        ) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _beside_or_packaged(file: str, folder: Path) -> Path:
    beside = folder / file  # an absolute ``file`` stays as it is
    return beside if beside.is_file() else _ROOM / file


def _entry(
    name: str,
    model: Model,
    manifest: Manifest,
    classes: Mapping[str, tuple[str, ...] | None],
    folder: Path,
) -> ModelEntry:
    """Put one entry together with the release and the data that it names."""
    release = _named(manifest.releases, "releases", model.release)
    data = _named(manifest.data, "data", model.data)
    own = {field.name: getattr(model, field.name) for field in fields(ModelFields)}
    # The model's own sources come first: they are files, the release's is often a folder.
    sources = (*model.sources, *release.sources)
    own["sources"] = tuple(replace(s, filename=s.filename or model.filename) for s in sources)
    if model.bundled is not None:
        path = _beside_or_packaged(model.bundled.path, folder)
        own["bundled"] = replace(model.bundled, path=str(path))
    return ModelEntry(
        **own,
        name=name,
        release_title=release.title,
        config=ModelConfig(
            name=name,
            architecture=model.architecture,
            num_classes=model.num_classes,
            clip_len=model.clip_len,
            input=release.input,
            options=model.options,
            classes=classes[model.data],
        ),
        data=data.name,
        data_short=data.short,
        class_names_file=data.class_names_file,
        classes_note=data.classes_note,
        license=License(**vars(release.license), data=data.terms),
        citation=release.bibtex,
        reference=release.reference,
    )


def _named(table: Mapping[str, T], table_name: str, name: str) -> T:
    if name not in table:
        raise ValueError(f"{name!r} is not in {table_name}, which has {', '.join(table)}")
    return table[name]
