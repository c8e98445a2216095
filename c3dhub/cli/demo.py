"""``c3dhub demo``: the sample video through the bundled model, without any network."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import FeaturesError, ManifestError
from ..registry.manifest import shipped_manifest
from ..registry.sample import Shown, sample_shown, sample_video
from . import arguments, messages
from .outputs import plan_outputs

if TYPE_CHECKING:
    from ..extraction.features import Features
    from ..networks import VideoNetwork

MODEL = "resnet18_figures"
OUTPUT = "demo_features.safetensors"

_NEXT = """\
Go on in Python:
  import c3dhub
  model = c3dhub.load("{model}")
  features = model.extract_features("video.mp4")  # .pooled: float32 (n_clips, {dim})
This small model knows rendered motion only; `c3dhub list` shows those for real work."""


def add_parsers(subparsers: arguments.Subparsers) -> None:
    """Register ``demo``."""
    parser = subparsers.add_parser(
        "demo",
        help="see it work: sample video, bundled model, no network",
        description="Put the sample video that comes with c3dhub through the model that comes "
        "with c3dhub: what is predicted for each clip, what was shown, and the features in a file.",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=f"where the features are written (default: {OUTPUT})"
    )
    arguments.add_options(parser, "device")
    arguments.add_flags(parser, path="print the sample video's path alone", json=arguments.JSON)
    parser.set_defaults(run=run_demo)


def run_demo(args: argparse.Namespace) -> int:
    """Predict, show and write; or print the path of the sample video."""
    video = sample_video()
    if args.path:
        print(json.dumps({"video": str(video)}) if args.json else video)
        return 0
    target = _target(video, args.output)
    network = _bundled_network(args.device)
    features = network.extract_features(video, stages=("avgpool", "logits"))
    rows = _rows(features, network)
    if not args.json:  # before writing: a folder that cannot be written hides nothing
        _show_rows(video, rows)
    features.save(target)
    if args.json:
        messages.answer(_summary(video, features, rows, target))
    else:
        _show_rest(features, target)
    return 0


def _target(video: Path, output: str | None) -> Path:
    """Return where to write, decided before any work; nobody asked for the default by name."""
    (target,) = plan_outputs([str(video)], output or OUTPUT).values()
    if output is None and target.exists():
        from ..extraction.features import load_features  # late: imports numpy

        try:
            load_features(target)
        except FeaturesError as error:
            raise FeaturesError(
                f"{target} is here already and holds no features of c3dhub; it is left alone: name "
                "another file with -o"
            ) from error
    return target


def _bundled_network(device: str | None) -> VideoNetwork:
    """Load the bundled model, whatever manifest the environment names."""
    entry = shipped_manifest().get(MODEL)
    if entry is None or entry.bundled is None:
        raise ManifestError(f"c3dhub's own manifest has lost {MODEL}; install c3dhub again")
    from ..base.devices import resolve_device  # late: imports torch
    from ..weights import ensure  # late: imports http.client
    from ..weights.assembling import assemble  # late: imports torch

    return assemble(entry.config, ensure(entry), device=resolve_device(device))


def _rows(features: Features, network: VideoNetwork) -> list[dict[str, Any]]:
    """Return one dict per clip: time, best class, its score, and what was shown."""
    from ..extraction.predictions import softmax, top  # late: imports numpy

    scores, shown = softmax(features["logits"]), sample_shown()
    rows = []
    for i in range(len(features)):
        start, end = float(features.start_seconds[i]), float(features.end_seconds[i])
        (best,) = top(scores[i], network.classes, 1)
        span = {"start_seconds": start, "end_seconds": end}
        rows.append({**span, **best, "shown": _label_at((start + end) / 2, shown)})
    return rows


def _label_at(seconds: float, shown: tuple[Shown, ...]) -> str | None:
    found = (s.label for s in shown if s.start_seconds <= seconds < s.end_seconds)
    return next(found, None)


def _right(rows: list[dict[str, Any]]) -> int:
    return sum(row["label"] == row["shown"] for row in rows)


def _summary(
    video: Path, features: Features, rows: list[dict[str, Any]], target: Path
) -> dict[str, Any]:
    return {
        "video": str(video),
        "model": MODEL,
        "clips": rows,
        "n_right": _right(rows),
        "output": str(target),
        "stages": {stage: list(array.shape) for stage, array in features.arrays.items()},
    }


def _show_rows(video: Path, rows: list[dict[str, Any]]) -> None:
    print(f"{MODEL} looks at {video.name}, which comes with c3dhub:")
    print("  seconds           predicted            score  shown")
    for row in rows:
        seconds = f"{row['start_seconds']:6.2f} - {row['end_seconds']:.2f}"
        print(f"  {seconds:<17} {row['label']:<20} {row['score']:5.2f}  {row['shown']}")
    print(f"{_right(rows)} of {len(rows)} clips are named as they were drawn.")


def _show_rest(features: Features, target: Path) -> None:
    shapes = ", ".join(f"{stage} {array.shape}" for stage, array in features.arrays.items())
    print(f"Features written to {target}: {shapes}\n")
    print(_NEXT.format(model=MODEL, dim=features.pooled.shape[1]))
