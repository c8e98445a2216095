"""``c3dhub cache``: what lies in the cache, how much, and how it is removed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import near_matches
from ..base.progress import human_bytes
from ..registry.manifest import load_manifest
from . import arguments, messages

if TYPE_CHECKING:
    from ..weights.cache import Cache

# In the place of a name; no model can be called so.
PREPARED, FEATURES = "(openvino)", "(features)"


def add_parsers(subparsers: arguments.Subparsers) -> None:
    """Register ``cache`` and its actions."""
    parser = subparsers.add_parser(
        "cache",
        help="list, measure or empty the cache",
        description="Show what is in the cache (C3DHUB_HOME) or remove it.",
    )
    arguments.add_flags(parser, json=arguments.JSON)
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
        action.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help=arguments.JSON
        )
        action.set_defaults(run=run)
    action.add_argument("names", nargs="*", metavar="NAME", help="as `c3dhub cache` lists them")
    arguments.add_flags(
        action,
        all="remove everything",
        prepared="remove what was prepared for OpenVINO; it is made again when needed",
        features="remove the features that probes keep of videos; they are made again when needed",
        forget="also forget the released file's hash, so that another file may come next time",
    )


def run_cache_list(args: argparse.Namespace) -> int:
    """Print one row per model, then per file from the Hub."""
    cache = _cache()
    rows, total = list(_rows(cache)), _total(cache)
    if args.json:
        messages.answer({"dir": str(cache.root), "bytes": total, "items": rows})
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


def run_cache_size(args: argparse.Namespace) -> int:
    """Print the size of everything in the cache."""
    total = _total(_cache())
    print(json.dumps({"bytes": total}) if args.json else human_bytes(total))
    return 0


def run_cache_dir(args: argparse.Namespace) -> int:
    """Print the cache's folder."""
    root = str(_cache().root)
    print(json.dumps({"dir": root}) if args.json else root)
    return 0


def run_cache_remove(args: argparse.Namespace) -> int:
    """Remove models, partial downloads, files from the Hub and what was made with them."""
    if [bool(args.names), args.all, args.prepared or args.features].count(True) != 1:
        raise ValueError(
            "give the names to remove, or --all for everything, or --prepared or --features, but "
            "one of them"
        )
    cache = _cache()
    known = sorted({item.name for item in cache.stored()} | set(cache.pins()))
    names = known if args.all else list(dict.fromkeys(args.names))
    freed: dict[str, int] = {}
    for name, size in _remove(args, cache, names=names, known=known):
        freed[name] = size
        if not args.json:
            print(f"removed {name} ({human_bytes(size)})")
    if args.json:
        print(json.dumps([{"name": name, "bytes": size} for name, size in freed.items()]))
    return messages.exit_code([name for name in names if name not in freed], of=len(names))


def _cache() -> Cache:
    from ..weights.cache import Cache  # late: imports http.client

    return Cache.default()


def _rows(cache: Cache) -> Iterator[dict[str, Any]]:
    """Yield a row for each model, each file from the Hub, and what is made again when removed."""
    from ..weights.cache import HUB_PREFIX, folder_bytes  # late: imports http.client

    for item in cache.stored():
        pins = cache.pinned(item.name)
        yield _row(
            item.name,
            item.size,
            pins.source.location if pins.source else None,
            partial_bytes=item.partial_size,
            path=str(cache.weights(item.name)) if item.complete else None,
            sha256=pins.weights.sha256 if pins.weights else None,
        )
    for key, pins in cache.pins().items():
        if key.startswith(HUB_PREFIX) and (weights := pins.weights) is not None:
            yield _row(key, weights.size, "huggingface_hub's cache", sha256=weights.sha256)
    for name, folder, origin in _made(cache):
        if size := folder_bytes(folder):
            yield _row(name, size, origin, path=str(folder))


def _made(cache: Cache) -> tuple[tuple[str, Path, str], ...]:
    """Return name, folder and meaning of what is made again when it is removed."""
    return (
        (PREPARED, cache.prepared, "networks prepared for OpenVINO"),
        (FEATURES, cache.features, "frozen features of videos"),
    )


def _row(name: str, size: int, origin: str | None, **more: Any) -> dict[str, Any]:
    nothing = {"partial_bytes": 0, "path": None, "sha256": None}
    return {"name": name, "bytes": size, **nothing, "origin": origin, **more}


def _total(cache: Cache) -> int:
    """Return the bytes of all that lies below the cache's folder; the Hub's files do not."""
    from ..weights.cache import folder_bytes  # late: imports http.client

    models = sum(item.size + item.partial_size for item in cache.stored())
    return models + sum(folder_bytes(folder) for _, folder, _ in _made(cache))


def _remove(
    args: argparse.Namespace, cache: Cache, *, names: Sequence[str], known: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """Remove what is asked for; yield each name and its bytes. Says which names are not there."""
    wanted = {PREPARED: args.prepared, FEATURES: args.features}
    for name, folder, _ in _made(cache):
        if wanted[name] or (args.all and folder.is_dir()):
            yield name, cache.remove_made(folder)
    for name in names:
        if name in known:
            yield name, _remove_known(name, cache, forget=args.forget)
        else:
            messages.say(f"error: {name}: not in the cache{_why_not(name, known)}")


def _remove_known(name: str, cache: Cache, *, forget: bool) -> int:
    from ..weights.cache import HUB_PREFIX  # late: imports http.client
    from ..weights.hub_files import HubPlace, remove_cached

    if not name.startswith(HUB_PREFIX):
        return cache.remove(name, forget=forget)
    with cache.writing():
        freed = remove_cached(HubPlace.from_key(name))
        cache.unpin(name, forget=forget)
    return freed


def _why_not(name: str, known: Sequence[str]) -> str:
    entry = load_manifest().get(name)
    if entry is not None and entry.bundled is not None:
        return ", it comes with c3dhub and is never copied there."
    return f".{near_matches(name, known)}"
