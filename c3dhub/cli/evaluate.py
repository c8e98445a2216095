"""The command that measures how good a network is: evaluate."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from .options import (
    add_dataset_options,
    add_model_options,
    add_options,
    chosen_options,
    dataset_options,
    network_of,
    say,
)
from .outputs import plan_table

if TYPE_CHECKING:
    from ..learning.evaluation import Accuracy, Evaluation


def add_parsers(subparsers: Any) -> None:
    """Register the commands of this module."""
    evaluate = subparsers.add_parser(
        "evaluate",
        help="accuracy of a model on labelled videos",
        description="Classify labelled videos: top-1, top-5 and their mean, for clips, for videos "
        "and for each class, with the protocol in words. Without --subset the test part of DATA is "
        "taken where it has one, else its val part, else all of it.",
        epilog="example: c3dhub evaluate UCF-101/ --subset test --split 1 --model finetuned/",
    )
    add_dataset_options(evaluate)
    add_model_options(evaluate)
    _add_protocol_options(evaluate)
    output = evaluate.add_argument_group("decoding and output")
    add_options(output, "errors", "decode")
    output.add_argument(
        "--predictions", metavar="FILE.csv", help="write what each video was taken for"
    )
    output.add_argument("--json", action="store_true", help="print JSON")
    output.add_argument("--quiet", action="store_true", help="no progress on stderr")
    evaluate.set_defaults(run=run_evaluate)


def _add_protocol_options(parser: argparse.ArgumentParser) -> None:
    protocol = parser.add_argument_group("protocol")
    protocol.add_argument(
        "--crops",
        choices=("center", "three", "ten"),
        default="center",
        help="crops of every frame: its centre (default), three along the long side, or corners, "
        "centre and their mirror images",
    )
    add_options(protocol, "clip_len", "clip_stride", "frame_stride", "fps")


def run_evaluate(args: argparse.Namespace) -> int:
    """Evaluate; return 0, or 1 where some videos could not be read."""
    table = plan_table("--predictions", args.predictions, args.data)
    network = network_of(args)
    from ..learning.evaluation import evaluate  # late: imports torch

    found = evaluate(
        args.data,
        model=network,
        progress=not args.quiet and sys.stderr.isatty(),
        crops=args.crops,
        **dataset_options(args),
        **chosen_options(args),
    )
    if table is not None:
        found.save_predictions(table)
    _report(found)
    print(json.dumps(found.to_dict(), indent=2) if args.json else shown(found))
    return 1 if found.broken else 0


def _report(found: Evaluation) -> None:
    """Say on stderr which videos are in no figure, and which only in part."""
    for warning in found.warnings:
        say(f"warning: {warning.path}: {warning.reason}")
    if not found.broken:
        return
    total = len(found.broken) + found.video.n
    say(f"{len(found.broken)} of {total} videos cannot be read and are in no figure:")
    for broken in found.broken:
        say(f"  {broken.path}: {broken.reason}")


def shown(found: Evaluation) -> str:
    """Return the result as people read it: classes first, the summary where the screen ends."""
    width = max(8, *(len(each.name) for each in found.per_class))
    lines = [f"{'class':{width}s}   videos   top-1   top-5"]
    for each in found.per_class:
        if each.accuracy is None:
            lines.append(f"{each.name:{width}s} {0:8d}       -       -")
        else:
            count, top1, top5 = each.accuracy.n, each.accuracy.top1, each.accuracy.top5
            lines.append(f"{each.name:{width}s} {count:8d} {_percent(top1)} {_percent(top5)}")
    low, high = found.top1_interval
    lines += [
        "",
        f"{found.provenance['model']['name']} on {found.provenance['data']}",
        f"{'':10s}{'count':>8s}   top-1   top-5 average",
        _line("videos", found.video),
        _line("clips", found.clip),
        f"top-1 of videos: 95 % interval {low:.1%} to {high:.1%}; mean over classes "
        f"{found.mean_class_top1:.1%}",
        *textwrap.wrap(f"protocol: {found.protocol}", width=98, subsequent_indent="  "),
    ]
    return "\n".join(lines)


def _line(name: str, accuracy: Accuracy) -> str:
    shares = (accuracy.top1, accuracy.top5, accuracy.average)
    return f"{name:10s}{accuracy.n:8d} {' '.join(map(_percent, shares))}"


def _percent(share: float | None) -> str:
    return f"{'-':>7s}" if share is None else f"{share:7.1%}"
