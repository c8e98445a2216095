"""Options that several commands have in common, and what they stand for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..networks import VideoNetwork

_PRECISIONS = ("float32", "bfloat16", "float16", "int8", "auto")


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
    model.add_argument(
        "--device", metavar="NAME", help="cpu, cuda, cuda:1, mps (default: the best)"
    )
    model.add_argument(
        "--precision", choices=_PRECISIONS, help="default: float32; auto: what the hardware is for"
    )
    model.add_argument(
        "--engine",
        choices=("torch", "openvino"),
        help="what computes (default: torch, for int8 openvino); see `c3dhub bench`",
    )
    model.add_argument(
        "--calibration",
        action="append",
        metavar="VIDEO",
        help="int8: measure ranges with this video, may be repeated (default: bundled clips)",
    )
    model.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="clips at once (default: fitted to the free memory)",
    )
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


def network_of(args: argparse.Namespace) -> VideoNetwork:
    """Return the network that the options ask for, in its inference form."""
    from .. import hub
    from ..extraction.engines import inference_form

    if args.random_weights:
        import torch

        torch.manual_seed(0)
        say(f"{args.model}: random weights, for trying things out; the features mean nothing")
        network = hub.create_model(args.model, device=args.device)
    else:
        network = hub.load(args.model, device=args.device, local_files_only=args.offline)
    return inference_form(
        network, precision=args.precision, engine=args.engine, calibration=args.calibration
    )


def say(text: str) -> None:
    """Write one line of log to stderr."""
    print(f"c3dhub: {text}", file=sys.stderr)
