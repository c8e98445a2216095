"""Results of videos: where they are written, decided before any work is done, and shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import DatasetError, FeaturesError
from ..base.files import refuse_special

if TYPE_CHECKING:
    from ..extraction.features import Features

_MOST_ROWS = 12  # of a table on the screen

# Endings that promise another format than the one that is written.
_OTHER_FORMATS = {".npz", ".npy", ".csv", ".json", ".pt", ".pth", ".pkl", ".parquet", ".h5", ".mat"}


def plan_outputs(videos: Sequence[str], output: str | None) -> dict[str, Path]:
    """Return video -> file, refusing outputs that could not be meant, before any work is done."""
    if output is None:
        return {}
    folder = Path(output)
    into_folder = len(videos) > 1 or folder.is_dir() or output.endswith(("/", os.sep))
    if not into_folder:
        targets = {videos[0]: folder}
    else:
        if not folder.is_dir():
            raise ValueError(
                f"-o is {output}, which is no folder; several videos need an existing folder: "
                f"mkdir {output}"
            )
        targets = {video: folder / f"{Path(video).stem}.safetensors" for video in videos}
    _check_targets(targets)
    return targets


def plan_table(option: str, table: str | None, data: str) -> Path | None:
    """Return where a CSV file goes, refusing what could not be meant before any work is done.

    ``option`` is the name on the command line, ``data`` what is read and must not be replaced.
    """
    if table is None:
        return None
    target = Path(table)
    if target.suffix.lower() != ".csv":
        raise ValueError(f"{option} is {target}; it is written as CSV: end it in .csv")
    if target.is_dir():
        raise ValueError(f"{option} is {target}, a folder; name a file")
    if target.exists() and Path(data).exists() and target.samefile(data):
        raise ValueError(f"{option} is {target}, the data itself; choose another file")
    if not target.parent.is_dir():
        raise ValueError(f"{option} is {target}, but {target.parent} is no folder: create it first")
    refuse_special(target)
    if not os.access(target.parent, os.W_OK):
        raise DatasetError(
            f"{option} is {target}, but {target.parent} cannot be written to; choose another folder"
        )
    return target


def _check_targets(targets: dict[str, Path]) -> None:
    seen: dict[Path, str] = {}
    for video, target in targets.items():
        if target in seen:
            raise ValueError(
                f"{seen[target]} and {video} would both be written to {target}; extract them into "
                "two folders"
            )
        seen[target] = video
        refuse_special(target)
        if target.suffix.lower() in _OTHER_FORMATS:
            raise ValueError(
                f"-o is {target}; features are written as safetensors: end it in .safetensors"
            )
        if target.exists() and Path(video).exists() and target.samefile(video):
            raise ValueError(f"-o is {target}, the video itself; choose another file")
        if not target.parent.is_dir():
            raise ValueError(f"-o is {target}, but {target.parent} is no folder: create it first")
        if not os.access(target.parent, os.W_OK):
            raise FeaturesError(
                f"-o is {target}, but {target.parent} cannot be written to; choose another folder"
            )


def show_features(video: str, features: Features, target: Path | None) -> None:
    lines = [f"{video}: {features!r}", "  clip   seconds             frames       valid"]
    for i in range(min(len(features), _MOST_ROWS)):
        seconds = f"{features.start_seconds[i]:8.3f} - {features.end_seconds[i]:.3f}"
        frames = f"{features.start_frame[i]:6d} - {features.end_frame[i]}"
        lines.append(f"  {i:4d} {seconds:20s}{frames:14s} {features.n_valid_frames[i]:4d}")
    if len(features) > _MOST_ROWS:
        lines.append(f"  ... and {len(features) - _MOST_ROWS} more clips")
    if target is None:
        lines.append("  not written; -o FILE.safetensors keeps the features")
    else:
        lines.append(f"  written to {target}")
    for warning in features.warnings:
        print(f"c3dhub: warning: {video}: {warning}", file=sys.stderr)
    print("\n".join(lines))


def features_json(video: str, features: Features, target: Path | None) -> dict[str, Any]:
    arrays = {stage: array.tolist() for stage, array in features.arrays.items()}
    shown = {"output": str(target)} if target is not None else {"features": arrays}
    return {
        "video": video,
        "n_clips": len(features),
        "stages": {stage: list(array.shape) for stage, array in features.arrays.items()},
        "start_seconds": features.start_seconds.tolist(),
        "end_seconds": features.end_seconds.tolist(),
        "start_frame": features.start_frame.tolist(),
        "end_frame": features.end_frame.tolist(),
        "n_valid_frames": features.n_valid_frames.tolist(),
        "warnings": list(features.warnings),
        "provenance": features.provenance,
        **shown,
    }


def show_classes(video: str, found: list[Any], *, per_clip: bool) -> None:
    lines = [f"{video}:"]
    groups = found if per_clip else [{"predictions": found}]
    for group in groups:
        if per_clip:
            lines.append(f"  {group['start_seconds']:.3f} - {group['end_seconds']:.3f} s")
        for p in group["predictions"]:
            label = p["label"] if p["label"] is not None else "(name unknown)"
            lines.append(f"  {p['score']:8.4f}  {p['index']:4d}  {label}")
    print("\n".join(lines))
