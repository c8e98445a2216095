"""``c3dhub bench``: how fast one model runs on this machine, and which precision to take.

``forms.py`` prepares the model's forms, ``workloads.py`` says what one run of each does,
``timing.py`` runs them in turn, ``exactness.py`` says what a form loses. ``one_model.py`` puts it
together into the figures of ``figures.py``, which ``report.py`` shows.
"""

from __future__ import annotations

import argparse

from .. import arguments
from ..messages import say

_DESCRIPTION = """\
Measure a model on this machine in every precision and engine that the installation serves, in
turn, and recommend one. With a VIDEO also decoding alone and everything together. It takes about
a minute; run it on an idle machine."""


def add_parsers(subparsers: arguments.Subparsers) -> None:
    """Register ``bench``."""
    bench = subparsers.add_parser(
        "bench",
        help="speed and exactness of each precision on this machine",
        description=_DESCRIPTION,
        epilog="example: c3dhub bench match.mp4 --model resnet50_kinetics --accuracy",
    )
    bench.add_argument("video", nargs="?", metavar="VIDEO", help="footage like yours")
    arguments.add_model(bench, random="as fast as trained ones, but its errors are not theirs")
    arguments.add_flags(
        bench, accuracy="also what each form loses in every stage, on VIDEO, against float32"
    )
    bench.add_argument(
        "--repeats", type=int, default=5, metavar="N", help="rounds at most (default: 5)"
    )
    bench.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1 (default: the best)")
    arguments.add_flags(
        bench, offline=arguments.OFFLINE, json="print one line of JSON", quiet=arguments.QUIET
    )
    bench.set_defaults(run=run_bench)


def run_bench(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.accuracy and args.video is None:
        raise ValueError("--accuracy needs a VIDEO: errors on anything but footage mean nothing")
    if args.repeats < 1:
        raise ValueError(f"--repeats is {args.repeats}; it must be at least 1")
    from ...video import open_video  # late: imports av
    from ..loading import load_plain  # late: imports torch
    from .one_model import measure_model  # late: imports torch
    from .report import report  # late: imports torch

    if args.video is not None:
        open_video(args.video).close()  # before weights are fetched
    network = load_plain(
        args.model, random_weights=args.random_weights, device=args.device, offline=args.offline
    )
    found = measure_model(
        network,
        video=args.video,
        accuracy=args.accuracy,
        repeats=args.repeats,
        say=lambda text: None if args.quiet else say(f"bench: {text}"),
    )
    print(found.to_json() if args.json else "\n".join(report(found)))
    return 0
