"""``c3dhub extract`` and ``c3dhub classify``: videos in, features or class names out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.errors import C3DHubError
from ..clips.rule import ClipOptions
from ..extraction.options import ClassifyKeywords, ReadOptions
from . import arguments, messages
from .outputs import plan_outputs

if TYPE_CHECKING:
    from ..extraction.features import Features

_MOST_ROWS = 12  # of a table on the screen

T = TypeVar("T")


def add_parsers(subparsers: arguments.Subparsers) -> None:
    """Register ``extract`` and ``classify``."""
    extract = subparsers.add_parser(
        "extract",
        help="features of videos, with timestamps",
        description="Put every clip of a video through a network and keep what its stages say.",
        epilog="example: c3dhub extract match.mp4 --model resnet50_kinetics -o match.safetensors",
    )
    _add_common(extract)
    extract.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where the features are written; a "
        "folder for several videos. Without it they are only shown",
    )
    arguments.add_options(extract, "stages")
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
    _add_common(classify)
    classify.add_argument("--topk", type=int, default=5, metavar="K", help="classes (default: 5)")
    arguments.add_flags(classify, per_clip="one list for each clip")
    classify.set_defaults(run=run_classify)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", nargs="+", metavar="VIDEO", help="file or folder of images")
    arguments.add_model_options(parser)
    clips = parser.add_argument_group("clips")
    arguments.add_part(clips, ClipOptions, ClassifyKeywords)
    output = parser.add_argument_group("reading and output")
    arguments.add_part(output, ReadOptions, ClassifyKeywords)
    arguments.add_flags(output, json=arguments.JSON, quiet=arguments.QUIET)


def run_extract(args: argparse.Namespace) -> int:
    """Extract every video; return 0, or 1 where some failed."""
    targets = plan_outputs(args.video, args.output)
    from ..extract import extract_many  # late: imports torch

    def show(video: str, features: Features) -> dict[str, Any]:
        target = targets.get(video)
        if target is not None:
            features.save(target)
        if not args.json:
            _show_features(video, features, target)
        return _features_json(video, features, target)

    return _each(args, extract_many(args.video, **_keywords(args)), show)


def run_classify(args: argparse.Namespace) -> int:
    """Classify every video; return 0, or 1 where some failed."""
    from ..extract import classify  # late: imports torch

    keywords = _keywords(args)

    def found() -> Iterator[tuple[str, list[Any] | C3DHubError]]:
        for video in args.video:
            try:
                yield video, classify(video, topk=args.topk, per_clip=args.per_clip, **keywords)
            except C3DHubError as error:
                yield video, error

    def show(video: str, predictions: list[Any]) -> dict[str, Any]:
        if not args.json:
            _show_classes(video, predictions, per_clip=args.per_clip)
        return {"video": video, "clips" if args.per_clip else "predictions": predictions}

    return _each(args, found(), show)


def _keywords(args: argparse.Namespace) -> dict[str, Any]:
    """Return what extract_many and classify have in common."""
    from .loading import network_of  # late: imports torch

    # Where one table after the other appears on the screen, they are the progress.
    shown = len(args.video) > 1 and not args.json and sys.stdout.isatty()
    progress = arguments.shows_progress(args) and not shown
    return {"model": network_of(args), "progress": progress, **arguments.chosen_options(args)}


def _each(
    args: argparse.Namespace,
    found: Iterable[tuple[Any, T | C3DHubError]],
    show: Callable[[str, T], dict[str, Any]],
) -> int:
    """Show what was found of each video, go on after failures and list them at the end."""
    results: list[dict[str, Any]] = []
    for video, result in found:
        try:
            if isinstance(result, C3DHubError):
                raise result
            results.append(show(video, result))
        except C3DHubError as error:
            if len(args.video) == 1:
                raise
            results.append({"video": video, "error": str(error)})
            messages.say(f"error: {error}")
    if args.json:
        messages.answer(results[0] if len(args.video) == 1 else results)
    failures = [result["error"] for result in results if "error" in result]
    messages.say_videos(failures, of=len(args.video), fate="failed")
    return 1 if failures else 0


def _show_features(video: str, features: Features, target: Path | None) -> None:
    lines = [f"{video}: {features!r}", "  clip   seconds             frames       valid"]
    for i in range(min(len(features), _MOST_ROWS)):
        seconds = f"{features.start_seconds[i]:8.3f} - {features.end_seconds[i]:.3f}"
        frames = f"{features.start_frame[i]:6d} - {features.end_frame[i]}"
        lines.append(f"  {i:4d} {seconds:20s}{frames:14s} {features.n_valid_frames[i]:4d}")
    if len(features) > _MOST_ROWS:
        lines.append(f"  ... and {len(features) - _MOST_ROWS} more clips")
    kept = (
        f"written to {target}" if target else "not written; -o FILE.safetensors keeps the features"
    )
    lines.append(f"  {kept}")
    for warning in features.warnings:
        messages.say(f"warning: {video}: {warning}")
    print("\n".join(lines))


def _features_json(video: str, features: Features, target: Path | None) -> dict[str, Any]:
    arrays = {stage: array.tolist() for stage, array in features.arrays.items()}
    shown = {"output": str(target)} if target is not None else {"features": arrays}
    times = ("start_seconds", "end_seconds", "start_frame", "end_frame", "n_valid_frames")
    return {
        "video": video,
        "n_clips": len(features),
        "stages": {stage: list(array.shape) for stage, array in features.arrays.items()},
        **{name: getattr(features, name).tolist() for name in times},
        "warnings": list(features.warnings),
        "provenance": features.provenance,
        **shown,
    }


def _show_classes(video: str, found: list[Any], *, per_clip: bool) -> None:
    lines = [f"{video}:"]
    groups = found if per_clip else [{"predictions": found}]
    for group in groups:
        if per_clip:
            lines.append(f"  {group['start_seconds']:.3f} - {group['end_seconds']:.3f} s")
        for p in group["predictions"]:
            label = p["label"] if p["label"] is not None else "(name unknown)"
            lines.append(f"  {p['score']:8.4f}  {p['index']:4d}  {label}")
    print("\n".join(lines))
