"""The Features value: arrays per stage, when each clip happened, and where it all came from.

Needs numpy and safetensors but not torch, so that a saved file can be used anywhere.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..base.errors import FeaturesError, UnknownStageError, near_matches
from ..base.files import atomic_path

_FORMAT = "c3dhub-features-1"
_PER_CLIP = ("start_seconds", "end_seconds", "start_frame", "end_frame", "n_valid_frames")


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """What a network made of a video, one row per clip.

    Parameters
    ----------
    arrays: stage name -> float32 (n_clips, C), or (n_clips, C, T, H, W) where maps were kept.
    start_seconds, end_seconds: float64 (n_clips,), half-open, on the clock of the video; they span
        the frames that really belong to the clip, not its padding.
    start_frame, end_frame: int64 (n_clips,), half-open, counted from the first decoded frame.
    n_valid_frames: int64 (n_clips,), below ``clip_len`` where a clip was padded.
    provenance: model, weights sha256, clip rule, source, versions; as extraction
        saw them.
    warnings: what went wrong without stopping the extraction.
    """

    arrays: Mapping[str, NDArray[np.float32]]
    start_seconds: NDArray[np.float64]
    end_seconds: NDArray[np.float64]
    start_frame: NDArray[np.int64]
    end_frame: NDArray[np.int64]
    n_valid_frames: NDArray[np.int64]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.to_numpy().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"arrays have lengths {lengths}; each needs one row per clip")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that are here."""
        return tuple(self.arrays)

    @property
    def pooled(self) -> NDArray[np.float32]:
        """The pooled features, float32 (n_clips, D): stage ``avgpool``."""
        return self["avgpool"]

    def __getitem__(self, stage: str) -> NDArray[np.float32]:
        if stage not in self.arrays:
            raise UnknownStageError(
                f"these features have no stage {stage!r}, only {', '.join(self.stages)}; extract "
                f"again with stages=({stage!r},).{near_matches(stage, self.stages)}"
            )
        return self.arrays[stage]

    def __len__(self) -> int:
        return len(self.start_seconds)

    def to_numpy(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name: the stages, then the five per-clip columns."""
        return {**self.arrays, **{name: getattr(self, name) for name in _PER_CLIP}}

    def to_pandas(self) -> Any:
        """Return a DataFrame with a row per clip: times, frames, then ``<stage>_<channel>``.

        Raises ImportError without pandas (``pip install c3dhub[pandas]``), ValueError for maps.
        """
        try:
            import pandas as pd  # optional package
        except ImportError as error:
            raise ImportError(
                "to_pandas needs pandas, which is not installed: pip install 'c3dhub[pandas]'"
            ) from error
        columns: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _PER_CLIP}
        for stage, array in self.arrays.items():
            if array.ndim != 2:
                raise ValueError(
                    f"stage {stage!r} has shape {array.shape}; a table takes (n_clips, C): extract "
                    "with pool=True"
                )
            columns.update({f"{stage}_{i}": array[:, i] for i in range(array.shape[1])})
        return pd.DataFrame(columns)

    def save(self, path: str | Path) -> Path:
        """Write everything into one safetensors file and return its path.

        The file appears whole or not at all. Raises FeaturesError where it cannot be written.
        """
        target = Path(path)
        metadata = {
            "format": _FORMAT,
            "stages": json.dumps(self.stages),
            "provenance": json.dumps(dict(self.provenance), sort_keys=True),
            "warnings": json.dumps(self.warnings),
        }
        tensors = {name: np.ascontiguousarray(array) for name, array in self.to_numpy().items()}
        try:
            with atomic_path(target) as temporary:
                save_file(tensors, temporary, metadata=metadata)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error  # that names no temporary file
            raise FeaturesError(
                f"{target}: cannot write the features: {reason}; give a path in a folder "
                "that exists, can be written to and has room"
            ) from error
        return target

    def _shapes(self) -> str:
        return ", ".join(f"{stage} {array.shape}" for stage, array in self.arrays.items())

    def _span(self) -> str:
        if not len(self):
            return "no clips"
        return f"{self.start_seconds[0]:.2f}-{self.end_seconds[-1]:.2f} s"

    def __repr__(self) -> str:
        model = self.provenance.get("model", {}).get("name", "unknown model")
        source = self.provenance.get("source", {}).get("name", "unknown source")
        warned = f", {len(self.warnings)} warning(s)" if self.warnings else ""
        return (
            f"Features({len(self)} clips, {self._span()}: {self._shapes()}; "
            f"{model} of {source}{warned})"
        )

    def _repr_html_(self) -> str:
        """Show a table of the first clips in a notebook."""
        head = "".join(f"<th>{name}</th>" for name in ("clip", "seconds", "frames", "valid"))
        rows = "".join(
            f"<tr><td>{i}</td><td>{self.start_seconds[i]:.2f} to {self.end_seconds[i]:.2f}</td>"
            f"<td>{self.start_frame[i]} to {self.end_frame[i]}</td>"
            f"<td>{self.n_valid_frames[i]}</td></tr>"
            for i in range(min(len(self), 10))
        )
        more = f"<p>... and {len(self) - 10} more clips</p>" if len(self) > 10 else ""
        notes = "".join(f"<li>{html.escape(warning)}</li>" for warning in self.warnings)
        return (
            f"<div><p><code>{html.escape(repr(self))}</code></p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
            f"{f'<ul>{notes}</ul>' if notes else ''}</div>"
        )


def load_features(path: str | Path) -> Features:
    """Read what :meth:`Features.save` wrote. Raises FeaturesError for any other file."""
    source = Path(path)
    try:
        with safe_open(source, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise FeaturesError(
                    f"{source}: the header says format {metadata.get('format')!r}, not "
                    f"{_FORMAT!r}; give a file that Features.save or `c3dhub extract` wrote"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Features(
                arrays={stage: tensors[stage] for stage in json.loads(metadata["stages"])},
                **{name: tensors[name] for name in _PER_CLIP},
                provenance=json.loads(metadata["provenance"]),
                warnings=tuple(json.loads(metadata["warnings"])),
            )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise FeaturesError(f"{source}: cannot read it as features: {error}") from error
