"""Where results are written, decided and checked before any work is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import FeaturesError
from ..files import refuse_special

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
