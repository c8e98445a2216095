"""The values that the registry is made of: one model's entry, its sources, its terms.

Their annotations are the format of ``weights_manifest.json``: it is read by them, and
docs/manifest_schema.json is made from them. A new field of a model is one line in
:class:`ModelFields`. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypedDict

from .config import ModelConfig
from .json_fields import Rule, check, matching, one_of, rule_of

# kind of source -> (what its location looks like, the page where a person finds it)
SOURCE_KINDS = {
    "gdrive": (r"[\w-]+", "https://drive.google.com/file/d/{}/view"),
    "gdrive_folder": (r"[\w-]+", "https://drive.google.com/drive/folders/{}"),
    "url": (r"https?://\S+", "{}"),
}
# A file name or model name becomes part of a path in the cache; it must not lead out of there.
_PLAIN = "[A-Za-z0-9][A-Za-z0-9_.+-]*"
ModelName = Annotated[str, matching(_PLAIN, "letters, digits and any of _ . + -")]
FileName = Annotated[str, matching(_PLAIN, "a file name without a folder")]
MaybeFileName = Annotated[str, matching(f"({_PLAIN})?", "a file name without a folder")]
Sha256 = Annotated[str, matching("[0-9a-f]{64}", "64 lower-case hex digits")]
Sha1 = Annotated[str, matching("[0-9a-f]{40}", "40 lower-case hex digits")]
Sha256Prefix = Annotated[str, matching("[0-9a-f]{8,63}", "8 to 63 hex digits")]
_SIZES = rule_of(tuple[int, ...])
Shape = Annotated[
    tuple[int, ...],
    Rule(
        "[C, T, H, W] or [D]",
        lambda shape: _SIZES.holds(shape) and len(shape) in (1, 4),
        {**_SIZES.schema, "oneOf": [{"maxItems": 1}, {"minItems": 4, "maxItems": 4}]},
    ),
]


@dataclass(frozen=True)
class Source:
    """One place that a released file comes from, with what is known of its hash.

    ``kind`` is ``"url"``, ``"gdrive"`` (``location`` is a Google Drive file id) or
    ``"gdrive_folder"`` (a folder's id; a person fetches ``filename`` from it). In the manifest
    ``filename`` is the model's own where it is missing.
    """

    kind: Annotated[str, one_of(SOURCE_KINDS)]
    location: str
    filename: MaybeFileName = ""
    note: str = ""
    sha256: Sha256 | None = None
    sha1: Sha1 | None = None
    sha256_prefix: Sha256Prefix | None = None

    def __post_init__(self) -> None:
        check(self)
        if not re.fullmatch(SOURCE_KINDS[self.kind][0], self.location, re.ASCII):
            raise ValueError(
                f"location is {self.location!r}; it must be an http(s) URL or a Drive id"
            )

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
    sha256: Sha256
    size: int

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class BundledFile:
    """A safetensors file that comes with c3dhub or with a manifest; size in bytes.

    ``path`` is absolute; in the manifest it may be relative to the manifest or to this package's
    folder. Halves (float16, bfloat16) are only how it is stored: what is loaded is float32.
    """

    path: str
    sha256: Sha256
    size: int


@dataclass(frozen=True)
class Terms:
    """What a release says of its terms; ``"not stated"`` where it says nothing."""

    code: str
    weights: str


@dataclass(frozen=True)
class License(Terms):
    """What is known of the terms, those of the data included."""

    data: str


class Metric(TypedDict):
    """One published or measured figure: ``value`` in %, and in ``protocol`` how it came about."""

    dataset: str
    metric: str
    protocol: str
    value: float


@dataclass(frozen=True, kw_only=True)
class ModelFields:
    """What the manifest says of a model alone, as an entry has it.

    ``stages`` holds one shape per stage, in order, for a clip of ``clip_len`` x 112 x 112:
    (C, T, H, W) for a map, (D,) for ``avgpool``, (num_classes,) for ``logits``. ``gflops`` counts
    2 x multiply-accumulates for one such clip, in 1e9. ``parameters`` leaves BatchNorm's running
    statistics out. ``metrics_note`` says why there are no ``metrics``.
    """

    release: str
    title: str
    clip_len: int
    stages: Mapping[str, Shape]
    parameters: int
    gflops: float
    metrics: tuple[Metric, ...] = ()
    metrics_note: str = ""
    filename: FileName
    sources: tuple[Source, ...] = ()
    hub: HubFile | None = None
    bundled: BundledFile | None = None
    status: Literal["download", "manual", "bundled"]
    note: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelEntry(ModelFields):
    """Everything that is known of one model: its own fields, its release's and its data's.

    ``citation`` is BibTeX, ``reference`` one line; ``classes_note`` says why there are no names.
    """

    name: ModelName
    release_title: str
    config: ModelConfig
    data: str
    data_short: str
    class_names_file: str | None
    classes_note: str
    license: License
    citation: str
    reference: str

    def __post_init__(self) -> None:
        check(self, "name")
        direct = self.hub is not None or any(s.kind != "gdrive_folder" for s in self.sources)
        if self.status == "download" and not direct:
            raise ValueError("status is 'download' without a url, gdrive or hub source; add one")
        if (self.status == "bundled") != (self.bundled is not None):
            raise ValueError(
                f"status is {self.status!r} and bundled is {self.bundled}; a model whose weights "
                "come along has the status 'bundled' and the file's path, sha256 and size in "
                "bundled, and no other model has either"
            )
        if "avgpool" not in self.stages:
            raise ValueError("stages.avgpool is missing; it must be [D], the pooled features")
        if self.stages.get("logits") != (self.config.num_classes,):
            raise ValueError(f"stages.logits must be [{self.config.num_classes}], the num_classes")
        if not self.metrics and not self.metrics_note:
            raise ValueError("metrics is empty; give figures, or say in metrics_note why not")

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
        return {"name": self.name, **plain}
