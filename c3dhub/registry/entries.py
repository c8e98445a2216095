"""The values that the registry is made of: one model's entry, its sources, its terms.

Standard library only; :mod:`c3dhub.registry.manifest` reads them from ``weights_manifest.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .config import ModelConfig

STATUSES = ("download", "manual", "bundled")
# kind of source -> (what its location looks like, the page where a person finds it)
SOURCE_KINDS = {
    "url": (r"https?://\S+", "{}"),
    "gdrive": (r"[\w-]+", "https://drive.google.com/file/d/{}/view"),
    "gdrive_folder": (r"[\w-]+", "https://drive.google.com/drive/folders/{}"),
}
# A file name or model name becomes part of a path in the cache; it must not lead out of there.
_PLAIN_NAME = r"[A-Za-z0-9][\w.+-]*"


def _require(value: str | None, pattern: str, what: str, rule: str) -> None:
    if value is not None and not re.fullmatch(pattern, value, re.ASCII):
        raise ValueError(f"{what} is {value!r}; it must be {rule}")


@dataclass(frozen=True)
class Source:
    """One place that a released file comes from, with what is known of its hash.

    ``kind`` is ``"url"``, ``"gdrive"`` (``location`` is a Google Drive file id) or
    ``"gdrive_folder"`` (a folder's id; a person fetches ``filename`` from it).
    """

    kind: str
    location: str
    filename: str
    note: str = ""
    sha256: str | None = None
    sha1: str | None = None
    sha256_prefix: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in SOURCE_KINDS:
            raise ValueError(f"kind is {self.kind!r}; it must be one of {sorted(SOURCE_KINDS)}")
        location_pattern, _ = SOURCE_KINDS[self.kind]
        _require(self.location, location_pattern, "location", "an http(s) URL or a Drive id")
        _require(self.filename, _PLAIN_NAME, "filename", "a file name without a folder")
        _require(self.sha256, "[0-9a-f]{64}", "sha256", "64 lower-case hex digits")
        _require(self.sha1, "[0-9a-f]{40}", "sha1", "40 lower-case hex digits")
        _require(self.sha256_prefix, "[0-9a-f]{8,63}", "sha256_prefix", "8 to 63 hex digits")

    @property
    def page_url(self) -> str:
        """The address that a person opens in a browser."""
        return SOURCE_KINDS[self.kind][1].format(self.location)


@dataclass(frozen=True)
class HubFile:
    """A safetensors file on the Hugging Face Hub, pinned by revision and sha256; size in bytes."""

    repo_id: str
    filename: str
    revision: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        _require(self.sha256, "[0-9a-f]{64}", "sha256", "64 lower-case hex digits")


@dataclass(frozen=True)
class BundledFile:
    """A safetensors file that comes with c3dhub or with a manifest; size in bytes.

    ``path`` is absolute. Halves (float16, bfloat16) are only how it is stored: what is loaded is
    float32.
    """

    path: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        _require(self.sha256, "[0-9a-f]{64}", "bundled.sha256", "64 lower-case hex digits")


@dataclass(frozen=True)
class License:
    """What is known of the terms; ``"not stated"`` where nothing is."""

    code: str
    weights: str
    data: str


@dataclass(frozen=True, repr=False)
class ModelEntry:
    """Everything that the manifest says about one model.

    ``stages`` holds one shape per stage, in order, for a clip of ``clip_len`` x 112 x 112:
    (C, T, H, W) for a map, (D,) for ``avgpool``, (num_classes,) for ``logits``. ``gflops`` counts
    2 x multiply-accumulates for one such clip, in 1e9. ``parameters`` leaves BatchNorm's running
    statistics out. Each of ``metrics`` has ``dataset``, ``metric``, ``value`` in % and
    ``protocol``; ``metrics_note`` says why there are none. ``citation`` is BibTeX, ``reference``
    one line.
    """

    name: str
    title: str
    release: str
    release_title: str
    config: ModelConfig
    data: str
    data_short: str
    class_names_file: str | None
    classes_note: str
    clip_len: int
    stages: Mapping[str, tuple[int, ...]]
    parameters: int
    gflops: float
    metrics: tuple[Mapping[str, Any], ...]
    metrics_note: str
    license: License
    citation: str
    reference: str
    filename: str
    sources: tuple[Source, ...]
    hub: HubFile | None
    status: str
    note: str = ""
    bundled: BundledFile | None = None

    def __post_init__(self) -> None:
        _require(self.name, _PLAIN_NAME, "the model's name", "letters, digits and any of _ . + -")
        _require(self.filename, _PLAIN_NAME, "filename", "a file name without a folder")
        if self.status not in STATUSES:
            raise ValueError(f"status is {self.status!r}; it must be one of {list(STATUSES)}")
        direct = self.hub is not None or any(s.kind != "gdrive_folder" for s in self.sources)
        if self.status == "download" and not direct:
            raise ValueError("status is 'download' without a url, gdrive or hub source; add one")
        if (self.status == "bundled") != (self.bundled is not None):
            raise ValueError(
                f"status is {self.status!r} and bundled is {self.bundled}; a model whose weights "
                "come along has the status 'bundled' and the file's path, sha256 and size in "
                "bundled, and no other model has either"
            )
        if self.stages.get("logits") != (self.config.num_classes,):
            raise ValueError(f"stages.logits must be [{self.config.num_classes}], the num_classes")
        if not self.metrics and not self.metrics_note:
            raise ValueError("metrics is empty; give figures, or say in metrics_note why not")
        if (self.class_names_file is None) == (self.classes_note == ""):
            raise ValueError("give either class_names_file or classes_note, which says why not")

    @property
    def num_features(self) -> int:
        """Length D of the pooled features."""
        return self.stages["avgpool"][0]

    def __repr__(self) -> str:
        return (
            f"<ModelEntry {self.name}: {self.title}, {self.data}, {self.config.num_classes} "
            f"classes, clips of {self.clip_len} frames, {self.num_features} features, "
            f"{self.parameters / 1e6:.1f} M parameters, status {self.status}>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, ready for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain
