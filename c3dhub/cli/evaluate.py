"""``c3dhub evaluate``: how good a network is on labelled videos."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..clips.rule import ClipOptions
from ..extraction.options import EvaluateKeywords, ReadOptions
from . import arguments, messages
from .outputs import plan_table

if TYPE_CHECKING:
    from ..learning.evaluation import Accuracy, Evaluation


def add_parsers(subparsers: arguments.Subparsers) -> None:
    """Register ``evaluate``."""
    parser = subparsers.add_parser(
        "evaluate",
        help="accuracy of a model on labelled videos",
        description="Classify labelled videos: top-1, top-5 and their mean, for clips, for videos "
        "and for each class, with the protocol in words. Without --subset the test part of DATA is "
        "taken where it has one, else its val part, else all of it.",
        epilog="example: c3dhub evaluate UCF-101/ --subset test --split 1 --model finetuned/",
    )
    arguments.add_dataset_options(parser)
    arguments.add_model_options(parser)
    protocol = parser.add_argument_group("protocol")
    protocol.add_argument(
        "--crops",
        choices=("center", "three", "ten"),
        default="center",
        help="crops of every frame: its centre (default), three along the long side, or corners, "
        "centre and their mirror images",
    )
    arguments.add_part(protocol, ClipOptions, EvaluateKeywords)
    output = parser.add_argument_group("reading and output")
    arguments.add_part(output, ReadOptions, EvaluateKeywords)
    output.add_argument(
        "--predictions", metavar="FILE.csv", help="write what each video was taken for"
    )
    arguments.add_flags(output, json=arguments.JSON, quiet=arguments.QUIET)
    parser.set_defaults(run=run_evaluate)


def run_evaluate(args: argparse.Namespace) -> int:
    """Evaluate; return 0, or 1 where some videos could not be read."""
    table = plan_table("--predictions", args.predictions, args.data)
    from ..learning.evaluation import evaluate  # late: imports torch
    from .loading import network_of  # late: imports torch

    found = evaluate(
        args.data,
        model=network_of(args),
        progress=arguments.shows_progress(args),
        crops=args.crops,
        **arguments.dataset_options(args),
        **arguments.chosen_options(args),
    )
    if table is not None:
        found.save_predictions(table)
    for warning in found.warnings:
        messages.say(f"warning: {warning.path}: {warning.reason}")
    broken = [f"{each.path}: {each.reason}" for each in found.broken]
    total = len(broken) + found.video.n
    messages.say_videos(broken, of=total, fate="cannot be read and are in no figure")
    messages.answer(found.to_dict() if args.json else "\n".join(_shown(found)))
    return 1 if broken else 0


def _shown(found: Evaluation) -> list[str]:
    """Return the result as people read it: classes first, the summary where the screen ends."""
    classes = [("class   ", "videos", "top-1", "top-5")]
    classes += [(each.name, *_cells(each.accuracy)) for each in found.per_class]
    summary = [("", "count", "top-1", "top-5", "average")]
    for name, accuracy in (("videos   ", found.video), ("clips", found.clip)):
        summary.append((name, *_cells(accuracy), messages.percent(accuracy.average)))
    low, high = found.top1_interval
    return [
        *messages.aligned(classes, left=1, gap=" "),
        "",
        f"{found.provenance['model']['name']} on {found.provenance['data']}",
        *messages.aligned(summary, left=1, gap=" "),
        f"top-1 of videos: 95 % interval {low:.1%} to {high:.1%}; mean over classes "
        f"{found.mean_class_top1:.1%}",
        *messages.wrapped(f"protocol: {found.protocol}"),
    ]


def _cells(accuracy: Accuracy | None) -> tuple[str, str, str]:
    """Return count, top-1 and top-5; a class may have no videos."""
    if accuracy is None:
        return f"{0:8d}", messages.percent(None), messages.percent(None)
    return f"{accuracy.n:8d}", messages.percent(accuracy.top1), messages.percent(accuracy.top5)
