"""The commands that read videos: extract, classify."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from ..base.errors import C3DHubError
from ..clips.rule import Align, Preset, Tail
from .options import add_model_options, network_of, say
from .outputs import features_json, plan_outputs, show_classes, show_features

if TYPE_CHECKING:
    from ..extraction.features import Features
    from ..networks import VideoNetwork

T = TypeVar("T")


def add_parsers(subparsers: Any) -> None:
    """Register the commands of this module."""
    extract = subparsers.add_parser(
        "extract",
        help="features of videos, with timestamps",
        description="Put every clip of a video through a network and keep what its stages say.",
        epilog="example: c3dhub extract match.mp4 --model resnet50_kinetics -o match.safetensors",
    )
    _add_common(extract, nargs="+")
    extract.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where the features are written; a "
        "folder for several videos. Without it they are only shown",
    )
    extract.add_argument(
        "--stages",
        default="avgpool",
        metavar="A,B",
        help="stages, separated by commas: stem, layer1 .. layer4 (DenseNet: denseblock1 .. 4), "
        "avgpool, logits (default: avgpool)",
    )
    extract.add_argument(
        "--maps",
        action="store_true",
        help="keep whole maps (C, T, H, W) instead of their mean over time and space",
    )
    extract.set_defaults(run=run_extract)

    classify = subparsers.add_parser(
        "classify",
        help="the most likely classes of a video",
        description="Average the softmax over the clips of a video and name the best classes.",
        epilog="example: c3dhub classify match.mp4 --model resnet50_kinetics",
    )
    _add_common(classify, nargs="+")
    classify.add_argument("--topk", type=int, default=5, metavar="K", help="classes (default: 5)")
    classify.add_argument("--per-clip", action="store_true", help="one list for each clip")
    classify.set_defaults(run=run_classify)


def _add_common(parser: argparse.ArgumentParser, *, nargs: str) -> None:
    parser.add_argument("video", nargs=nargs, metavar="VIDEO", help="file or folder of images")
    add_model_options(parser)
    clips = parser.add_argument_group("clips")
    clips.add_argument(
        "--preset",
        choices=get_args(Preset),
        default="sliding",
        help="sliding (default) or paper2018, which pads nothing",
    )
    for option, text in (
        ("--clip-len", "frames of a clip (default: the model's)"),
        ("--clip-stride", "frames between clip starts (default: clips touch)"),
    ):
        clips.add_argument(option, type=int, metavar="N", help=text)
    clips.add_argument(
        "--frame-stride",
        type=int,
        default=1,
        metavar="N",
        help="frames between the frames of a clip (default: 1)",
    )
    clips.add_argument("--fps", type=float, metavar="X", help="resample to X frames per second")
    clips.add_argument("--start", type=float, metavar="S", help="seconds to start at")
    clips.add_argument("--end", type=float, metavar="S", help="seconds to end before")
    clips.add_argument(
        "--tail",
        choices=get_args(Tail),
        default="loop",
        help="what completes the last clip (default: loop)",
    )
    clips.add_argument(
        "--align",
        choices=get_args(Align),
        default="start",
        help="a clip starts at its time or is centred on it (default: start)",
    )

    output = parser.add_argument_group("decoding and output")
    output.add_argument(
        "--errors",
        choices=("raise", "strict"),
        default="raise",
        help="raise (default): keep what came before a decoding error; strict: fail",
    )
    output.add_argument(
        "--decode",
        choices=("exact", "fast"),
        default="exact",
        help="fast: H.264 and large frames in less time, pixels off by about one grey level",
    )
    output.add_argument("--json", action="store_true", help="print JSON")
    output.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run_extract(args: argparse.Namespace) -> int:
    """Extract every video; return 0, or 1 where some failed."""
    stages = tuple(part.strip() for part in args.stages.split(",") if part.strip())
    targets = plan_outputs(args.video, args.output)
    network = network_of(args)
    from ..extract import extract_many

    def show(video: str, features: Features) -> dict[str, Any]:
        target = targets.get(video)
        if target is not None:
            features.save(target)
        if not args.json:
            show_features(video, features, target)
        return features_json(video, features, target)

    options = _options(args, network)
    return _each(args, extract_many(args.video, stages=stages, pool=not args.maps, **options), show)


def run_classify(args: argparse.Namespace) -> int:
    """Classify every video; return 0, or 1 where some failed."""
    network = network_of(args)
    from ..extract import classify

    def found() -> Iterator[tuple[str, list[Any] | C3DHubError]]:
        options = _options(args, network)
        for video in args.video:
            try:
                yield video, classify(video, topk=args.topk, per_clip=args.per_clip, **options)
            except C3DHubError as error:
                yield video, error

    def show(video: str, predictions: list[Any]) -> dict[str, Any]:
        if not args.json:
            show_classes(video, predictions, per_clip=args.per_clip)
        return {"video": video, "clips" if args.per_clip else "predictions": predictions}

    return _each(args, found(), show)


def _options(args: argparse.Namespace, network: VideoNetwork) -> dict[str, Any]:
    """Return what extract_many and classify have in common."""
    names = ("clip_len", "clip_stride", "frame_stride", "fps", "start", "end", "tail", "align")
    more = ("preset", "batch_size", "errors", "decode")
    # Where one table after the other appears on the screen, they are the progress.
    shown = len(args.video) > 1 and not args.json and sys.stdout.isatty()
    progress = not args.quiet and sys.stderr.isatty() and not shown
    chosen = {name: getattr(args, name) for name in (*names, *more)}
    return {"model": network, "progress": progress, **chosen}


def _each(
    args: argparse.Namespace,
    found: Iterable[tuple[Any, T | C3DHubError]],
    show: Callable[[str, T], dict[str, Any]],
) -> int:
    """Show what was found of each video, go on after failures and list them at the end."""
    results: list[dict[str, Any]] = []
    failures: list[str] = []
    for video, result in found:
        try:
            if isinstance(result, C3DHubError):
                raise result
            results.append(show(video, result))
        except C3DHubError as error:
            if len(args.video) == 1:
                raise
            failures.append(str(error))
            results.append({"video": video, "error": str(error)})
            say(f"error: {error}")
    if args.json:
        print(json.dumps(results[0] if len(args.video) == 1 else results, indent=2))
    if failures:
        say(f"{len(failures)} of {len(args.video)} videos failed:")
        for failure in failures:
            say(f"  {failure}")
    return 1 if failures else 0
