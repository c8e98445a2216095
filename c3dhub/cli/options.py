"""Options that several commands have in common, and what they stand for."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..extraction.options import ComputeOptions, ExtractOptions

if TYPE_CHECKING:
    from ..extraction.extracting import FeatureExtractor


def add_options(group: Any, *names: str) -> None:
    """Add options of :class:`c3dhub.ExtractOptions` by name, as their fields declare them."""
    declared = {each.name: each for each in fields(ExtractOptions)}
    for name in names:
        flags = ["--stages", "--stage"] if name == "stages" else [f"--{name.replace('_', '-')}"]
        group.add_argument(*flags, default=declared[name].default, **declared[name].metadata)


def chosen_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return those options by keyword that a command has, beside what :func:`network_of` reads."""
    known = {each.name for each in fields(ExtractOptions)}
    known -= {each.name for each in fields(ComputeOptions)}
    return {name: value for name, value in vars(args).items() if name in known}


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add which network is used and how it computes."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help="a name of `c3dhub list`, hf://org/repo@revision, or a folder that c3dhub wrote",
    )
    model.add_argument(
        "--random-weights",
        action="store_true",
        help="NAME is an architecture, "
        "given random weights (seed 0): tries everything out, knows nothing",
    )
    add_options(model, "device", "precision", "engine", "calibration", "batch_size")
    model.add_argument("--offline", action="store_true", help="never touch the network")


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
    classes = None if args.classes is None else Path(args.classes)
    chosen = {name: getattr(args, name) for name in ("layout", "subset", "split", "videos")}
    return {**chosen, "classes": classes}


def network_of(args: argparse.Namespace) -> FeatureExtractor:
    """Return the network that the options ask for, in its inference form."""
    # All of this imports torch, for which no parser and no --help should wait.
    import torch

    from .. import hub

    if args.random_weights:
        torch.manual_seed(0)
        say(f"{args.model}: random weights, for trying things out; the features mean nothing")
        network = hub.create_model(args.model, device=args.device)
    else:
        network = hub.load(args.model, device=args.device, local_files_only=args.offline)
    return network.prepared(
        ComputeOptions(precision=args.precision, engine=args.engine, calibration=args.calibration)
    )


def say(text: str) -> None:
    """Write one line of log to stderr."""
    print(f"c3dhub: {text}", file=sys.stderr)
