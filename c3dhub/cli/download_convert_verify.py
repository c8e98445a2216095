"""``c3dhub download``, ``convert`` and ``verify``: weights on this disk."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import C3DHubError, UnknownModelError, near_matches
from ..base.files import sha256_of
from ..base.progress import human_bytes
from ..registry.manifest import list_models, load_manifest, model_info
from . import arguments, messages

if TYPE_CHECKING:
    from ..weights.convert import Converted
    from ..weights.pins import Pins


def add_parsers(subparsers: arguments.Subparsers) -> None:
    """Register ``download``, ``convert`` and ``verify``."""
    download = subparsers.add_parser(
        "download",
        help="fetch weights into the cache",
        description="Fetch weights into the cache and say where they lie.",
    )
    download.add_argument("names", nargs="+", metavar="NAME", help="a name or a glob: 'resnet1*'")
    convert = subparsers.add_parser(
        "convert",
        help="take over a released checkpoint that you fetched",
        description="Tell the model of a released checkpoint by its keys and shapes and write it "
        "as safetensors: into the cache, so that the model loads by its name from then on.",
    )
    convert.add_argument("file", type=Path, metavar="FILE", help="e.g. resnet-50-kinetics.pth")
    convert.add_argument("--name", help="the model it is; decides between models alike")
    convert.add_argument(
        "-o", "--output", type=Path, metavar="DIR",
        help="write model.safetensors and config.json there and leave the cache alone",
    )  # fmt: skip
    verify = subparsers.add_parser(
        "verify",
        help="check weights byte by byte",
        description="Hash weights and compare with what is pinned; for a path, compare the "
        "tensors with its config too. Without an argument everything is checked: what is in the "
        "cache and what comes with c3dhub.",
    )
    verify.add_argument("items", nargs="*", metavar="NAME|PATH", help="a model, folder or file")
    for parser, run in ((download, run_download), (convert, run_convert), (verify, run_verify)):
        arguments.add_flags(parser, json=arguments.JSON)
        parser.set_defaults(run=run)


def run_download(args: argparse.Namespace) -> int:
    """Fetch models; the ones that fail do not keep the others from being fetched."""
    from ..weights import ensure  # late: imports http.client

    rows: list[dict[str, Any]] = []
    for name in _expand(args.names):
        try:
            found = ensure(model_info(name))
        except C3DHubError as error:
            rows.append({"name": name, "error": str(error)})
            messages.say(f"error: {error}")
            continue
        if model_info(name).bundled is not None:
            messages.say(f"{name} {found.origin}: there is nothing to download")
        where = {"path": str(found.path), "sha256": found.sha256, "origin": found.origin}
        rows.append({"name": name, **where})
        if not args.json:
            print(f"{name}  {found.path}", flush=True)
    if args.json:
        messages.answer(rows)
    return messages.exit_code([row["name"] for row in rows if "error" in row], of=len(rows))


def run_convert(args: argparse.Namespace) -> int:
    """Convert a file into the cache, or into a folder."""
    if args.output is not None:
        from ..networks.saving import write_pretrained  # late: imports torch
        from ..weights.convert import convert_checkpoint  # late: imports torch

        converted = convert_checkpoint(args.file, name=args.name)
        weights, _ = write_pretrained(
            converted.state, converted.entry.config, args.output, metadata=converted.metadata
        )
        sha256 = sha256_of(weights)
    else:
        from ..weights.cache import Cache  # late: imports http.client
        from ..weights.release_files import convert_into_cache  # late: imports http.client

        cache = Cache.default()
        converted, pin, before = convert_into_cache(args.file, cache, name=args.name)
        weights, sha256 = cache.weights(converted.entry.name), pin.sha256
        _say_replaced(converted, sha256, before)
    _print_conversion(converted, weights, sha256, as_json=args.json)
    return 0


def _say_replaced(converted: Converted, sha256: str, before: Pins) -> None:
    name = converted.entry.name
    if before.source is not None and before.source.sha256 != converted.source_sha256:
        messages.say(
            f"note: {name} was pinned to another file before (sha256 "
            f"{before.source.sha256}, from {before.source.location}); it is now pinned to this one"
        )
    elif before.source is None and before.weights is not None and before.weights.sha256 != sha256:
        messages.say(
            f"note: other weights were pinned for {name} before (sha256 "
            f"{before.weights.sha256}); they were replaced by these"
        )


def _print_conversion(converted: Converted, weights: Path, sha256: str, *, as_json: bool) -> None:
    entry = converted.entry
    if as_json:
        facts = {
            "name": entry.name,
            "path": str(weights),
            "sha256": sha256,
            "source": str(converted.source),
            "source_sha256": converted.source_sha256,
            "source_size": converted.source_size,
            "prefix": converted.prefix,
            "notes": converted.notes,
        }
        messages.answer(facts)
        return
    print(f"{converted.source}: {entry.name} ({entry.title}, {entry.data})")
    print(f"  file     {human_bytes(converted.source_size)}, sha256 {converted.source_sha256}")
    print(f"  written  {weights}")
    print(f"  sha256   {sha256}")
    for note in converted.notes:
        print(f"  note     {note}")


def run_verify(args: argparse.Namespace) -> int:
    """Check items, or all that is in the cache."""
    from ..weights.cache import Cache  # late: imports http.client
    from ..weights.verify import verify, verify_all  # late: imports http.client

    cache = Cache.default()
    verdicts = [verify(item, cache) for item in args.items] if args.items else verify_all(cache)
    if args.json:
        messages.answer([asdict(verdict) for verdict in verdicts])
    elif not verdicts:
        print(f"{cache.root}: nothing to verify, the cache is empty", file=sys.stderr)
    else:
        for verdict in verdicts:
            print(f"{'ok' if verdict.ok else 'FAILED':<8}{verdict.item}: {verdict.detail}")
    return messages.exit_code(
        [verdict.item for verdict in verdicts if not verdict.ok], of=len(verdicts)
    )


def _expand(patterns: Sequence[str]) -> list[str]:
    """Return the names that names and globs stand for, each once, in order."""
    names: dict[str, None] = {}
    for pattern in patterns:
        found = list_models(pattern) if any(sign in pattern for sign in "*?[") else [pattern]
        if not found:
            raise UnknownModelError(
                f"no model matches {pattern!r}."
                f"{near_matches(pattern.strip('*'), load_manifest())} "
                "`c3dhub list` shows all names."
            )
        for name in found:
            model_info(name)  # all names are checked before the first is fetched
            names[name] = None
    return list(names)
