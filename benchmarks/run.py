"""Everything that c3dhub claims about speed, measured in one run and printed as one table.

python benchmarks/run.py --model resnet50_kinetics --video long.mp4 --json history.jsonl
python benchmarks/run.py --model resnet50 --random-weights      # needs no file at all
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from history import Record, append_history, make_record
from made_videos import make_video
from measure import QUICK, Settings
from table import render

from c3dhub.base.errors import C3DHubError
from c3dhub.cli.bench.exactness import footage_clips
from c3dhub.cli.bench.forms import prepare_forms
from c3dhub.cli.bench.one_model import Subject, model_setup
from c3dhub.cli.loading import load_plain

_ERROR_CLIPS = 16


def main() -> int:
    """Run the benchmark; return the exit code."""
    args = _parse()
    try:
        with TemporaryDirectory() as folder:
            videos = args.video or [_made(Path(folder), quick=args.quick)]
            record = benchmark(args, videos)
    except (C3DHubError, ValueError, OSError) as error:
        print(f"benchmarks/run.py: error: {error}", file=sys.stderr)
        return 1
    if args.json is not None:
        append_history(args.json, record)
    print(render(record))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="resnet50", help="a name of `c3dhub list` or a folder")
    parser.add_argument(
        "--random-weights", action="store_true", help="--model is an architecture; seed 0"
    )
    parser.add_argument(
        "--video",
        action="append",
        type=Path,
        help="may be given again; the first one is also used for whole processes and short videos "
        "(default: one is made, 480x360, 60 s)",
    )
    parser.add_argument("--device", help="default: the best")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="of each video, end to end (default: 30)"
    )
    parser.add_argument("--quick", action="store_true", help="a test of the benchmark itself")
    parser.add_argument("--json", type=Path, metavar="FILE", help="history to append the run to")
    return parser.parse_args()


def _made(folder: Path, *, quick: bool) -> Path:
    if quick:
        return make_video(folder / "made.mp4", seconds=4, size=(160, 120))
    return make_video(folder / "made.mp4")


def benchmark(args: argparse.Namespace, videos: list[Path]) -> Record:
    """Measure everything. Raises C3DHubError for a model or video that cannot be read."""
    names = [video.name for video in videos]
    if len(set(names)) < len(names):
        raise ValueError(f"the videos are {names}; give each another name, the table goes by them")
    settings = QUICK if args.quick else replace(
        Settings(), repeats=args.repeats, seconds=args.seconds
    )  # fmt: skip
    network = load_plain(args.model, random_weights=args.random_weights, device=args.device)
    clips = footage_clips(str(videos[0]), network=network, count=_ERROR_CLIPS)
    forms, refused = prepare_forms(network, say=_say)
    subject = Subject(network, tuple(forms), str(videos[0]), clips)
    figures = [*measure.network_alone(subject, settings, say=_say), *measure.errors(subject)]
    for video in videos:
        _say(f"video {video.name}")
        figures += measure.on_video(subject, settings, video, say=_say)
    figures += measure.short_videos(subject, settings, videos[0], say=_say)
    figures += measure.whole_processes(subject, settings, videos[0], _model_options(args), say=_say)
    return make_record(
        setup={
            "command": "benchmarks/run.py",
            **model_setup(network),
            "random_weights": args.random_weights,
            "videos": names,
            **asdict(settings),
        },
        device=network.device.type,
        figures=figures,
        not_served=refused,
    )


def _model_options(args: argparse.Namespace) -> list[str]:
    device = [] if args.device is None else ["--device", args.device]
    return ["--model", args.model, *(["--random-weights"] if args.random_weights else []), *device]


def _say(text: str) -> None:
    print(f"benchmarks: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
