"""One whole job in a process of its own: start, load, extract. ``run.py`` starts it.

Prints one line of JSON: {"clips": 562, "memory_mb": 612.3}.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main() -> None:
    """Do the job that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", required=True, help="'plain' or 'PRECISION ENGINE'")
    parser.add_argument("--model", required=True)
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--device")
    parser.add_argument("--video", required=True)
    parser.add_argument("--seconds", type=float, help="of the video; default: all")
    args = parser.parse_args()
    clips = _plain(args) if args.way == "plain" else _ours(args)

    from c3dhub.cli.bench.rates import peak_memory_mb

    print(json.dumps({"clips": clips, "memory_mb": peak_memory_mb()}))


def _plain(args: argparse.Namespace) -> int:
    import baseline

    from c3dhub.cli.bench.forms import load_plain

    network = load_plain(args.model, random_weights=args.random_weights, device=args.device)
    return len(baseline.features(Path(args.video), network=network, seconds=args.seconds))


def _ours(args: argparse.Namespace) -> int:
    from c3dhub import extract_features
    from c3dhub.cli.bench.forms import load_plain, make_form
    from c3dhub.cli.bench.rates import end_after

    precision, engine = args.way.split(" ")
    network = load_plain(args.model, random_weights=args.random_weights, device=args.device)
    form = make_form(network, precision=precision, engine=engine)
    end = None if args.seconds is None else end_after(args.video, seconds=args.seconds)
    return len(extract_features(args.video, model=form, end=end))


if __name__ == "__main__":
    main()
