"""The commands that read videos: extract, classify."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.errors import C3DHubError
from ..clips.rule import ClipOptions
from .options import add_model_options, add_options, chosen_options, network_of, say
from .outputs import features_json, plan_outputs, show_classes, show_features

if TYPE_CHECKING:
    from ..extraction.extracting import FeatureExtractor
    from ..extraction.features import Features

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
    add_options(extract, "stages")
    extract.add_argument(
        "--maps",
        dest="pool",
        action="store_false",
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
    add_options(clips, *(each.name for each in fields(ClipOptions)))
    output = parser.add_argument_group("decoding and output")
    add_options(output, "errors", "decode")
    output.add_argument("--json", action="store_true", help="print JSON")
    output.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run_extract(args: argparse.Namespace) -> int:
    """Extract every video; return 0, or 1 where some failed."""
    targets = plan_outputs(args.video, args.output)
    network = network_of(args)
    from ..extract import extract_many  # late: imports torch

    def show(video: str, features: Features) -> dict[str, Any]:
        target = targets.get(video)
        if target is not None:
            features.save(target)
        if not args.json:
            show_features(video, features, target)
        return features_json(video, features, target)

    options = _options(args, network)
    return _each(args, extract_many(args.video, **options), show)


def run_classify(args: argparse.Namespace) -> int:
    """Classify every video; return 0, or 1 where some failed."""
    network = network_of(args)
    from ..extract import classify  # late: imports torch

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


def _options(args: argparse.Namespace, network: FeatureExtractor) -> dict[str, Any]:
    """Return what extract_many and classify have in common."""
    # Where one table after the other appears on the screen, they are the progress.
    shown = len(args.video) > 1 and not args.json and sys.stdout.isatty()
    progress = not args.quiet and sys.stderr.isatty() and not shown
    return {"model": network, "progress": progress, **chosen_options(args)}


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
