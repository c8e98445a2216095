"""Where results are written, decided before any work is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..base.errors import C3DHubError, DatasetError, FeaturesError
from ..base.files import refuse_special

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
    seen: dict[Path, str] = {}
    for video, target in targets.items():
        if target in seen:
            raise ValueError(
                f"{seen[target]} and {video} would both be written to {target}; extract them into "
                "two folders"
            )
        seen[target] = video
        if target.suffix.lower() in _OTHER_FORMATS:
            raise ValueError(
                f"-o is {target}; features are written as safetensors: end it in .safetensors"
            )
        _check_place("-o", target, source=video, what="the video itself", error=FeaturesError)
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
    _check_place(option, target, source=data, what="the data itself", error=DatasetError)
    return target


def _check_place(
    option: str, target: Path, *, source: str, what: str, error: type[C3DHubError]
) -> None:
    """Refuse a target that cannot be written, or that is what is read."""
    refuse_special(target)
    if target.exists() and Path(source).exists() and target.samefile(source):
        raise ValueError(f"{option} is {target}, {what}; choose another file")
    if not target.parent.is_dir():
        raise ValueError(f"{option} is {target}, but {target.parent} is no folder: create it first")
    if not os.access(target.parent, os.W_OK):
        raise error(
            f"{option} is {target}, but {target.parent} cannot be written to; choose another folder"
        )
