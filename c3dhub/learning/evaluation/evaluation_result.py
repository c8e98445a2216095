"""The Evaluation value: accuracies, what every video was taken for, and how all of it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...extraction.predictions import Prediction
from ..datasets import BrokenVideo, VideoItem
from ..intervals import wilson_interval
from ..labelled import reasons, write_csv
from .accuracy import Accuracy


@dataclass(frozen=True)
class ClassAccuracy:
    """How one class of the data fares, at video level.

    Parameters
    ----------
    name: as the data has it.
    output: which output of the network stands for it.
    accuracy: over the videos of the class; None where it has none.
    """

    name: str
    output: int
    accuracy: Accuracy | None


@dataclass(frozen=True)
class VideoAnswer:
    """What one video was taken for.

    Parameters
    ----------
    item: the video, or the part of one.
    label: name of its class, as the data has it.
    rank: the place of the right class, 0 being the best.
    n_clips: how many clips were averaged.
    predictions: the five best classes, best first; fewer where the network has fewer.
    """

    item: VideoItem
    label: str
    rank: int
    n_clips: int
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, repr=False)
class Evaluation:
    """How good a network is on labelled videos.

    Parameters
    ----------
    video: accuracy with one answer per video, the mean of the softmax over its crops and clips.
    clip: accuracy with one answer per clip, the mean of the softmax over its crops.
    per_class: one for each class of the data, in the order of its labels.
    answers: one for each video that could be read, in the order of the data.
    broken: videos that could not be read and are in no figure.
    warnings: e.g. of a file that breaks off, whose clips before the break are counted.
    protocol: in words, how the figures were made.
    provenance: model, weights, clip rule, crops, versions.
    """

    video: Accuracy
    clip: Accuracy
    per_class: tuple[ClassAccuracy, ...]
    answers: tuple[VideoAnswer, ...]
    broken: tuple[BrokenVideo, ...]
    warnings: tuple[BrokenVideo, ...]
    protocol: str
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def top1_interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the video-level top-1, as if videos were drawn independently."""
        return wilson_interval(round(self.video.top1 * self.video.n), self.video.n)

    @property
    def mean_class_top1(self) -> float:
        """Mean over the classes that have videos of their top-1, each class counting the same."""
        found = [each.accuracy.top1 for each in self.per_class if each.accuracy is not None]
        return sum(found) / len(found)

    def __repr__(self) -> str:
        low, high = self.top1_interval
        top5 = "" if self.video.top5 is None else f", top-5 {self.video.top5:.1%}"
        broken = f", {len(self.broken)} broken" if self.broken else ""
        return (
            f"Evaluation({self.video.n} videos: top-1 {self.video.top1:.1%} "
            f"({low:.1%} to {high:.1%}){top5}; {self.clip.n} clips: top-1 {self.clip.top1:.1%}"
            f"{broken})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all but the answers as plain values, ready for JSON."""
        return {
            "video": _plain(self.video) | {"top1_interval": list(self.top1_interval)},
            "clip": _plain(self.clip),
            "mean_class_top1": self.mean_class_top1,
            "per_class": [
                {"name": each.name, "output": each.output}
                | (_plain(each.accuracy) if each.accuracy is not None else {"n": 0})
                for each in self.per_class
            ],
            "broken": reasons(self.broken),
            "warnings": reasons(self.warnings),
            "protocol": self.protocol,
            "provenance": dict(self.provenance),
        }

    def save_predictions(self, path: str | Path) -> Path:
        """Write the answers as CSV, one row per video, and return its path.

        Columns: path, start, end (seconds, empty for whole videos), label, rank (1 is right),
        clips, then top1, score1 to top5, score5. UTF-8. The file appears whole or not at all.
        Raises OSError where it cannot be written.
        """
        most = max(len(answer.predictions) for answer in self.answers)
        best = [name for place in range(1, most + 1) for name in (f"top{place}", f"score{place}")]
        head = ["path", "start", "end", "label", "rank", "clips", *best]
        return write_csv(path, [head, *map(_row, self.answers)])


def _plain(accuracy: Accuracy) -> dict[str, Any]:
    return asdict(accuracy) | {"average": accuracy.average}


def _row(answer: VideoAnswer) -> list[Any]:
    item = answer.item
    best: list[Any] = []
    for prediction in answer.predictions:
        best += [prediction["label"], f"{prediction['score']:.6g}"]
    return [item.path, item.start, item.end, answer.label, answer.rank + 1, answer.n_clips, *best]
