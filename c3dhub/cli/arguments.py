"""Options that several commands have in common, and what they stand for."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from typing import Any, TypeAlias

from ..extraction.options import ComputeOptions, ExtractOptions, Options, names_of

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

JSON, QUIET, OFFLINE = "print JSON", "no progress on stderr", "never touch the network"


def add_flags(group: Any, **texts: str) -> None:
    """Add switches, such as ``--no-cache`` for ``no_cache="keep no features"``."""
    for name, text in texts.items():
        group.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=text)


def add_part(group: Any, part: type[Options], keywords: type) -> None:
    """Add those options of ``part``, such as ``ClipOptions``, that a function with ``keywords``
    takes: an option that is new there is new here."""
    wanted = names_of(keywords)
    add_options(group, *(each.name for each in fields(part) if each.name in wanted))


def add_options(group: Any, *names: str) -> None:
    """Add options of :class:`c3dhub.ExtractOptions` by name, as their fields declare them."""
    declared = {each.name: each for each in fields(ExtractOptions)}
    for name in names:
        flags = ["--stages", "--stage"] if name == "stages" else [f"--{name.replace('_', '-')}"]
        group.add_argument(*flags, default=declared[name].default, **declared[name].metadata)


def chosen_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return those options by keyword that a command has, beside what ``network_of`` reads."""
    known = {each.name for each in fields(ExtractOptions)}
    known -= {each.name for each in fields(ComputeOptions)}
    return {name: value for name, value in vars(args).items() if name in known}


def add_model(group: Any, *, random: str) -> None:
    """Add ``--model`` and ``--random-weights``; ``random`` says what such weights are good for."""
    group.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help="a name of `c3dhub list`, hf://org/repo@revision, or a folder that c3dhub wrote",
    )
    add_flags(
        group, random_weights=f"NAME is an architecture, given random weights (seed 0): {random}"
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add which network is used and how it computes."""
    model = parser.add_argument_group("model")
    add_model(model, random="tries everything out, knows nothing")
    add_options(model, *(each.name for each in fields(ComputeOptions)))
    add_flags(model, offline=OFFLINE)


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """Add the labelled videos that :func:`c3dhub.read_dataset` reads."""
    parser.add_argument("data", metavar="DATA", help="folder, or list of labelled videos")
    data = parser.add_argument_group("data")
    data.add_argument("--layout", metavar="NAME", help="how DATA is laid out (default: recognised)")
    data.add_argument("--subset", metavar="NAME", help="part of DATA, such as train or test")
    data.add_argument(
        "--split", type=int, default=1, metavar="N", help="official split: 1, 2 or 3 (default: 1)"
    )
    data.add_argument(
        "--videos", metavar="FOLDER", help="where the videos of a list are (default: beside it)"
    )
    data.add_argument(
        "--classes", metavar="FILE", help="text file with the names of the classes, in their order"
    )


def dataset_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what :func:`c3dhub.read_dataset` takes beside the path."""
    names = ("layout", "subset", "split", "videos", "classes")
    return {name: getattr(args, name) for name in names}


def shows_progress(args: argparse.Namespace) -> bool:
    """Whether someone watches, and has not asked for quiet."""
    return not args.quiet and sys.stderr.isatty()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
