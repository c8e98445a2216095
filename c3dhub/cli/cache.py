"""``c3dhub cache``: what lies in the cache, how much, and how it is removed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import near_matches
from ..base.progress import human_bytes
from ..registry.manifest import load_manifest
from ..weights.cache import HUB_PREFIX, Cache, Stored, folder_bytes

# In the place of a name; no model can be called so.
PREPARED, FEATURES = "(openvino)", "(features)"

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parsers(subparsers: Subparsers) -> None:
    """Register ``cache`` and its actions."""
    parser = subparsers.add_parser(
        "cache",
        help="list, measure or empty the cache",
        description="Show what is in the cache (C3DHUB_HOME) or remove it.",
    )
    add_json(parser)
    parser.set_defaults(run=run_cache_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    for name, run, text in (
        ("list", run_cache_list, "list what is there (what `c3dhub cache` alone does)"),
        ("size", run_cache_size, "print the size of everything"),
        ("dir", run_cache_dir, "print the cache's folder"),
        ("remove", run_cache_remove, "remove models and partial downloads"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        # SUPPRESS: a default here would undo `c3dhub cache --json list`.
        add_json(action, default=argparse.SUPPRESS)
        action.set_defaults(run=run)
    action.add_argument("names", nargs="*", metavar="NAME", help="as `c3dhub cache` lists them")
    action.add_argument("--all", action="store_true", help="remove everything")
    action.add_argument(
        "--prepared",
        action="store_true",
        help="remove what was prepared for OpenVINO; it is made again when needed",
    )
    action.add_argument(
        "--features",
        action="store_true",
        help="remove the features that probes keep of videos; they are made again when needed",
    )
    action.add_argument(
        "--forget",
        action="store_true",
        help="also forget the released file's hash, so that another file may come next time",
    )


def add_json(parser: argparse.ArgumentParser, *, default: Any = False) -> None:
    """Give a command ``--json``."""
    parser.add_argument("--json", action="store_true", default=default, help="print JSON")


def run_cache_list(arguments: argparse.Namespace) -> int:
    """Print one row per model, then per file from the Hub."""
    cache = Cache.default()
    stored = cache.stored()
    rows = [_stored_row(item, cache) for item in stored] + _hub_rows(cache) + _made_rows(cache)
    total = _total(cache)
    if arguments.json:
        print(json.dumps({"dir": str(cache.root), "bytes": total, "items": rows}, indent=2))
        return 0
    if not rows:
        print(f"{cache.root}: empty")
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        partial = f", {human_bytes(row['partial_bytes'])} partial" if row["partial_bytes"] else ""
        size = human_bytes(row["bytes"]) + partial if row["bytes"] or not partial else partial[2:]
        print(f"{row['name']:<{width}}  {size:>9}  {row['origin'] or '-'}")
    print(f"{human_bytes(total)} in {cache.root}")
    return 0


def _stored_row(item: Stored, cache: Cache) -> dict[str, Any]:
    pins = cache.pinned(item.name)
    return {
        "name": item.name,
        "bytes": item.size,
        "partial_bytes": item.partial_size,
        "path": str(cache.weights(item.name)) if item.complete else None,
        "sha256": pins.weights.sha256 if pins.weights else None,
        "origin": pins.source.location if pins.source else None,
    }


def _hub_rows(cache: Cache) -> list[dict[str, Any]]:
    """Return rows for files that lie in huggingface_hub's cache; the total leaves them out."""
    return [
        {
            "name": key,
            "bytes": pins.weights.size,
            "partial_bytes": 0,
            "path": None,
            "sha256": pins.weights.sha256,
            "origin": "huggingface_hub's cache",
        }
        for key, pins in cache.pins().items()
        if key.startswith(HUB_PREFIX) and pins.weights is not None
    ]


def _made_rows(cache: Cache) -> list[dict[str, Any]]:
    """Return rows for what is made again when it is removed."""
    return [
        {
            "name": name,
            "bytes": folder_bytes(folder),
            "partial_bytes": 0,
            "path": str(folder),
            "sha256": None,
            "origin": origin,
        }
        for name, folder, origin in (
            (PREPARED, cache.prepared, "networks prepared for OpenVINO"),
            (FEATURES, cache.features, "frozen features of videos"),
        )
        if folder_bytes(folder)
    ]


def _total(cache: Cache) -> int:
    models = sum(item.size + item.partial_size for item in cache.stored())
    return models + folder_bytes(cache.prepared) + folder_bytes(cache.features)


def run_cache_size(arguments: argparse.Namespace) -> int:
    """Print the size of everything in the cache."""
    total = _total(Cache.default())
    print(json.dumps({"bytes": total}) if arguments.json else human_bytes(total))
    return 0


def run_cache_dir(arguments: argparse.Namespace) -> int:
    """Print the cache's folder."""
    root = str(Cache.default().root)
    print(json.dumps({"dir": root}) if arguments.json else root)
    return 0


def run_cache_remove(arguments: argparse.Namespace) -> int:
    """Remove models, partial downloads, files from the Hub and what was made with them."""
    cache = Cache.default()
    made = arguments.prepared or arguments.features
    if [bool(arguments.names), arguments.all, made].count(True) != 1:
        raise ValueError(
            "give the names to remove, or --all for everything, or --prepared or --features, but "
            "one of them"
        )
    known = sorted({item.name for item in cache.stored()} | set(cache.pins()))
    names = known if arguments.all else list(dict.fromkeys(arguments.names))
    freed: dict[str, int] = {}
    for name, folder, wanted in (
        (PREPARED, cache.prepared, arguments.prepared),
        (FEATURES, cache.features, arguments.features),
    ):
        if wanted or (arguments.all and folder.is_dir()):
            freed[name] = cache.remove_made(folder)
            if not arguments.json:
                print(f"removed {name} ({human_bytes(freed[name])})")
    for name in names:
        if name not in known:
            say(f"c3dhub: error: {name}: not in the cache{_why_not(name, known)}")
            continue
        freed[name] = _remove(name, cache, forget=arguments.forget)
        if not arguments.json:
            print(f"removed {name} ({human_bytes(freed[name])})")
    if arguments.json:
        print(json.dumps([{"name": name, "bytes": size} for name, size in freed.items()]))
    return report_failures([name for name in names if name not in freed], of=len(names))


def _why_not(name: str, known: Sequence[str]) -> str:
    entry = load_manifest().get(name)
    if entry is not None and entry.bundled is not None:
        return ", it comes with c3dhub and is never copied there."
    return f".{near_matches(name, known)}"


def _remove(name: str, cache: Cache, *, forget: bool) -> int:
    if not name.startswith(HUB_PREFIX):
        return cache.remove(name, forget=forget)
    from ..weights.hub_files import HubPlace, remove_cached  # late: imports torch

    with cache.writing():
        freed = remove_cached(HubPlace.from_key(name))
        cache.unpin(name, forget=forget)
    return freed


def report_failures(names: Sequence[str], *, of: int) -> int:
    """List what failed on stderr; returns the exit code."""
    if not names:
        return 0
    say(f"c3dhub: {len(names)} of {of} failed: {', '.join(names)}")
    return 1


def say(text: str) -> None:
    """Write a line to stderr."""
    print(text, file=sys.stderr)
