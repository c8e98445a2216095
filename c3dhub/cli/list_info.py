"""``c3dhub list`` and ``c3dhub info``: what the registry knows, for people and for programs."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from ..base.errors import C3DHubError, near_matches
from ..registry.config import InputContract
from ..registry.entries import ModelEntry, Source
from ..registry.manifest import list_models, load_manifest, model_info
from . import arguments, messages

WIDTH = 100
_HEADINGS = (
    "name", "architecture", "data", "classes", "clip", "dim", "params", "GFLOPs", "metric",
    "status  ",
)  # fmt: skip
_STATUSES = {
    "bundled": "bundled = comes with c3dhub",
    "download": "download = fetched by itself",
    "manual": "manual = fetched by hand, see c3dhub info NAME",
}
_TEXT_COLUMNS = 3  # the first ones


def add_parsers(subparsers: arguments.Subparsers) -> None:
    """Register ``list`` and ``info``."""
    listing = subparsers.add_parser(
        "list", help="list the models", description="List the models that c3dhub knows."
    )
    listing.add_argument(
        "pattern", nargs="?", default="*", metavar="PATTERN", help="glob, e.g. 'resnet*'"
    )
    arguments.add_flags(listing, json="print JSON instead of a table")
    listing.set_defaults(run=run_list)
    info = subparsers.add_parser(
        "info",
        help="describe one model",
        description="Describe one model: stages, input, accuracy, weights, classes, licence.",
    )
    info.add_argument("name", metavar="NAME", help="a name from `c3dhub list`")
    arguments.add_flags(info, json="print JSON with every class name")
    info.set_defaults(run=run_info)


def run_list(args: argparse.Namespace) -> int:
    """Print a table or a JSON list of the models that match a pattern."""
    entries = load_manifest()
    found = [entries[name] for name in list_models(args.pattern)]
    if not found:
        raise C3DHubError(
            f"no model matches {args.pattern!r}; a pattern covers the whole name, as in "
            f"'resnet*'.{near_matches(args.pattern.strip('*'), entries)}"
        )
    messages.answer([*map(_summary, found)] if args.json else "\n".join(_table(found)))
    return 0


def run_info(args: argparse.Namespace) -> int:
    """Print everything about one model."""
    entry = model_info(args.name)
    messages.answer(entry.to_dict() if args.json else "\n".join(_page(entry)))
    return 0


def _summary(entry: ModelEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "architecture": entry.config.architecture,
        "data": entry.data,
        "num_classes": entry.config.num_classes,
        "clip_len": entry.clip_len,
        "num_features": entry.num_features,
        "parameters": entry.parameters,
        "gflops": entry.gflops,
        "metrics": [dict(metric) for metric in entry.metrics],
        "status": entry.status,
    }


def _table(entries: list[ModelEntry]) -> list[str]:
    """Return aligned lines, then what the short forms mean."""
    notes: dict[str, str] = {}
    rows = [_HEADINGS, *(_row(entry, notes) for entry in entries)]
    heading, *lines = messages.aligned(rows, left=_TEXT_COLUMNS, gap=" ")
    names = [f"{short} = {data}" for short, data in _data_names(entries).items()]
    found = {entry.status for entry in entries}
    statuses = [text for status, text in _STATUSES.items() if status in found]
    legend = [
        f"data: {'; '.join(names)}",
        "clip: frames per clip; dim: pooled features; GFLOPs: per clip; params in millions",
        *(f"metric {mark}: {text}" for text, mark in notes.items()),
        f"status: {'; '.join(statuses)}",
    ]
    return [
        _bold(heading),
        *lines,
        "",
        *(line for text in legend for line in messages.wrapped(text, width=WIDTH)),
    ]


def _row(entry: ModelEntry, notes: dict[str, str]) -> tuple[str, ...]:
    """Return one line's cells; ``notes`` collects metric and protocol -> a, b, c."""
    metric = "-"
    if entry.metrics:
        first = entry.metrics[0]
        text = f"{first['metric']} on {first['dataset']} in %, {first['protocol']}"
        mark = notes.setdefault(text, chr(ord("a") + len(notes) % 26))
        metric = f"{first['value']:.1f} {mark}"
    return (
        entry.name,
        entry.config.architecture,
        entry.data_short,
        str(entry.config.num_classes),
        str(entry.clip_len),
        str(entry.num_features),
        f"{entry.parameters / 1e6:.1f}",
        f"{entry.gflops:.1f}",
        metric,
        f"{entry.status:8}",  # of one width, so that they begin below one another
    )


def _data_names(entries: list[ModelEntry]) -> dict[str, str]:
    """Return short -> full name; a sum such as K700+M is left out where its parts are shown."""
    names = {entry.data_short: entry.data for entry in entries}
    sums = {short for short in names if "+" in short and set(short.split("+")) <= names.keys()}
    return {short: data for short, data in names.items() if short not in sums}


def _page(entry: ModelEntry) -> Iterator[str]:
    """Yield the lines of ``c3dhub info``."""
    config = entry.config
    yield _bold(entry.name)
    yield from _wrap(
        f"{entry.title} trained on {entry.data}: clips of {entry.clip_len} frames in, "
        f"{entry.num_features} features or the scores of {config.num_classes} classes out."
    )
    options = ", ".join(f"{key} {value}" for key, value in config.options.items())
    facts = {
        "architecture": config.architecture + (f" ({options})" if options else ""),
        "release": entry.release_title,
        "parameters": f"{entry.parameters:,} (about {entry.parameters * 4e-6:.0f} MB as float32)",
        "work": f"{entry.gflops:.1f} GFLOPs per clip (2 x multiply-accumulates)",
    }
    for name, value in facts.items():
        yield f"  {name:<13} {value}"
    if entry.note:
        yield from _wrap(f"Note: {entry.note}")
    for title, lines in (
        (f"Stages, for a clip of 3 x {entry.clip_len} x 112 x 112", _stages(entry)),
        ("Input", _input(config.input, entry.clip_len)),
        ("Accuracy", _metrics(entry)),
        ("Weights", _weights(entry)),
        ("Classes", _classes(entry)),
        ("Licence", _license(entry)),
        ("Citation", [*_wrap(entry.reference), *textwrap.indent(entry.citation, "  ").split("\n")]),
        ("Python", _python(entry)),
    ):
        yield from ("", _bold(title), *lines)


def _stages(entry: ModelEntry) -> Iterator[str]:
    meaning = {4: "channels x frames x height x width", 1: ""}
    for name, shape in entry.stages.items():
        note = {"avgpool": "pooled features", "logits": "one score per class"}.get(name, "")
        # The order of the axes is told once, at the first map.
        note = note or meaning.pop(len(shape), "")
        yield f"  {name:<13} {' x '.join(map(str, shape)):<20}{note}".rstrip()


def _input(contract: InputContract, clip_len: int) -> Iterator[str]:
    yield from _wrap(f"{clip_len} consecutive RGB frames at the video's own rate; of each frame:")
    if contract.resize_mode == "short_side":
        size = (
            f"the short side is scaled to {contract.resize_size[0]} pixels, the long side with it"
        )
    else:
        size = "it is scaled to exactly {} x {} pixels (H x W)".format(*contract.resize_size)
    how = "antialiased as PIL does it" if contract.antialias else "not antialiased, then rounded"
    yield f"  1. {size}"
    yield f"     (bilinear, {how})"
    yield f"  2. the {contract.crop_size} x {contract.crop_size} pixels at the centre are kept"
    scaled = {255.0: "p", 1.0: "p / 255"}.get(
        contract.max_value, f"p * {contract.max_value:g} / 255"
    )
    yield f"  3. a pixel p of 0..255 becomes ({scaled} - mean) / std, with"
    for name, values in (("mean", contract.mean), ("std", contract.std)):
        yield f"     {name:<4} {', '.join(f'{value:.7g}' for value in values)}  (R, G, B)"
    yield "  model.transforms and everything that reads videos does this for you."


def _metrics(entry: ModelEntry) -> Iterator[str]:
    for metric in entry.metrics:
        yield f"  {metric['value']:g} %  {metric['metric']} on {metric['dataset']}"
    for protocol in dict.fromkeys(metric["protocol"] for metric in entry.metrics):
        yield from _wrap(f"({protocol})", indent=10)
    if entry.metrics_note:
        yield from _wrap(entry.metrics_note)


def _weights(entry: ModelEntry) -> Iterator[str]:
    if entry.status == "download":
        yield "  Fetched by itself on first use, or now by"
        yield f"    c3dhub download {entry.name}"
    elif entry.bundled is not None:
        size = entry.bundled.size / 1e6
        yield f"  Comes with c3dhub: nothing is downloaded ({size:.1f} MB as stored)."
        yield f"    {entry.bundled.path}"
        yield f"    sha256 {entry.bundled.sha256}"
    if entry.hub:
        yield f"  Hub: {entry.hub.repo_id}, {entry.hub.filename} at revision {entry.hub.revision}"
    for source in entry.sources:
        yield from _source(entry, source)


def _source(entry: ModelEntry, source: Source) -> Iterator[str]:
    if source.kind != "gdrive_folder":
        yield f"  From {source.page_url}"
        known = {"sha256": source.sha256, "sha1": source.sha1}
        hashes = [f"{kind} {value}" for kind, value in known.items() if value]
        hashes += [f"sha256 starts with {source.sha256_prefix}"] if source.sha256_prefix else []
        notes = [note for note in (source.note, *hashes) if note]
        yield from _wrap(f"({'; '.join(notes)})" if notes else "", indent=4)
        return
    yield f"  By hand: get {source.filename} from"
    yield f"    {source.page_url}"
    yield from _wrap(f"({source.note})" if source.note else "", indent=4)
    yield "  and make it known by"
    yield f"    c3dhub convert {source.filename} --name {entry.name}"


def _classes(entry: ModelEntry) -> Iterator[str]:
    classes = entry.config.classes
    if classes is None:
        yield from _wrap(entry.classes_note)
        return
    first = ", ".join(classes[:6])
    rest = len(classes) - 6
    yield from _wrap(f"{first}{f', and {rest} more' if rest > 0 else ''}")
    if rest > 0:
        yield "  model.classes has them all, and so has --json."


def _license(entry: ModelEntry) -> Iterator[str]:
    terms = {"code": entry.license.code, "weights": entry.license.weights}
    for name, text in {**terms, "data": entry.license.data}.items():
        yield from textwrap.wrap(f"  {name:<8} {text}", WIDTH, subsequent_indent=" " * 11)


def _python(entry: ModelEntry) -> list[str]:
    shape = f"(n_clips, {entry.num_features})"
    return [
        "  import c3dhub",
        f'  model = c3dhub.load("{entry.name}")',
        f'  features = model.extract_features("video.mp4").pooled  # float32 {shape}',
    ]


def _wrap(text: str, *, indent: int = 2) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent)


def _bold(text: str) -> str:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain or not sys.stdout.isatty() else f"\033[1m{text}\033[0m"
