"""Labelled videos -> network -> Evaluation: the story of ``c3dhub evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...base.errors import C3DHubError, DatasetError
from ...base.progress import Progress
from ...extract import ready_network
from ...extraction.batch_size import fitting_batch_size
from ...extraction.clip_network import ClipNetwork, Pending, Rows
from ...extraction.feature_extractor import FeatureExtractor
from ...extraction.options import EvaluateKeywords, ExtractOptions, Options, takes
from ...extraction.pipeline import Reading, VideoRows, compute, read_batches
from ...extraction.predictions import softmax, top
from ...extraction.provenance import describe
from ..datasets import BrokenVideo, VideoItem, VideoList
from ..datasets.recognition import Layout
from ..labelled import broken_video, named, parts_of
from .accuracy import MOST, Accuracy, label_ranks
from .class_outputs import outputs_of_classes
from .crops import Crops, CropsTransform
from .evaluation_result import ClassAccuracy, Evaluation, VideoAnswer
from .protocol import protocol_in_words
from .which_videos import videos_to_evaluate

if TYPE_CHECKING:
    from typing_extensions import Unpack

_STAGES = ("logits",)


@takes(EvaluateKeywords)
def evaluate(
    data: VideoList | str | Path,
    *,
    model: FeatureExtractor | str | Path,
    layout: Layout | None = None,
    subset: str | None = None,
    split: int = 1,
    videos: str | Path | None = None,
    classes: Sequence[str] | str | Path | None = None,
    crops: Crops = "center",
    progress: bool = False,
    options: Options | None = None,
    **given: Unpack[EvaluateKeywords],
) -> Evaluation:
    """Return how often a network is right about labelled videos.

    By default the protocol of the authors' code: clips that touch, the last one completed by
    looping, centre crop, and for a video the mean of the softmax over its clips.

    Parameters
    ----------
    data: a :class:`c3dhub.learning.datasets.VideoList`, or a path for :func:`c3dhub.read_dataset`.
    model: a network, or what :func:`c3dhub.load` takes.
    layout, split, videos, classes: of :func:`c3dhub.read_dataset`, where ``data`` is a path.
    subset: the same, but None takes ``"test"`` where there is one, else ``"val"``, else everything:
        what a network was trained on tells nothing.
    crops: ``"center"``, ``"three"`` along the long side, or ``"ten"``: corners, centre and mirror
        images, see :class:`c3dhub.learning.evaluation.CropsTransform`.
    progress: show videos done and time left on stderr.
    options: a :class:`c3dhub.ExtractOptions` or a part of it, instead of the keywords below; a
        batch is of crops, each counted.

    Raises
    ------
    DatasetError: no videos, none that can be read, or classes that the network does not have.
    ValueError, TypeError: an option is wrong.
    C3DHubError: the network gives values that are no numbers.

    A video that cannot be read is left out of all figures and listed in ``broken``.
    """
    chosen = ExtractOptions.of(options, given, EvaluateKeywords)
    network = ready_network(model, chosen)
    rule = chosen.rule(network.config.clip_len)
    transform = CropsTransform(network.config.input, crops=crops)
    size = fitting_batch_size(chosen.batch_size, network, rule)
    found = videos_to_evaluate(
        data, layout=layout, subset=subset, split=split, videos=videos, classes=classes
    )
    outputs = outputs_of_classes(
        found.classes, network.classes, num_classes=network.num_classes, origin=named(found)
    )
    n_clips = max(1, size // len(transform.weights))
    reading = Reading(rule, transform, replace(chosen, batch_size=n_clips))
    tally = _Tally(_Job(network, transform, reading, size), found, outputs)
    tally.run(progress=progress)
    return tally.result()


@dataclass(frozen=True)
class _Job:
    """What is done with every video: all of it checked, nothing of it about one video."""

    network: ClipNetwork
    transform: CropsTransform
    reading: Reading
    size: int

    def begin(self, frames: Tensor) -> Pending:
        """Begin with uint8 clips (N, T, K, H, W, 3); the result is logits (N, V, num_classes)."""
        n_clips = len(frames)
        views, size = self.transform.views(frames), self.size
        parts = [views[first : first + size] for first in range(0, len(views), size)]
        waiting = [self.network.start(part, stages=_STAGES, pool=True) for part in parts]

        def result() -> Rows:
            logits = np.concatenate([pending()["logits"] for pending in waiting])
            return {"logits": logits.reshape(n_clips, -1, logits.shape[1])}

        return result


class _Tally:
    """Counts the answers, video by video."""

    def __init__(self, job: _Job, videos: VideoList, outputs: tuple[int, ...]) -> None:
        self.job, self.videos, self.outputs = job, videos, outputs
        self.answers: list[VideoAnswer] = []
        self.clip_ranks: list[NDArray[np.int64]] = []
        self.broken: list[BrokenVideo] = []
        self.warnings: list[BrokenVideo] = []

    def run(self, *, progress: bool) -> None:
        """Read all videos and count them."""
        done = compute(read_batches(parts_of(self.videos), self.job.reading), self.job.begin)
        bar = Progress(len(self.videos), unit="videos", label="evaluate", enabled=progress)
        with bar, closing(done):
            for position, (item, rows) in enumerate(zip(self.videos.items, done, strict=True)):
                self._add(position, item, rows)
                bar.update(1)

    def _add(self, position: int, item: VideoItem, rows: VideoRows) -> None:
        """Count one video, given its logits (n, V, num_classes) in pieces, or its error."""
        assert rows.ended is not None
        if rows.ended.error is not None:
            self.broken.append(broken_video(item, rows.ended.error, position))
            return
        told = rows.ended.warnings
        self.warnings += [BrokenVideo(str(item.path), text, position) for text in told]
        logits = np.concatenate([part["logits"] for part in rows.arrays])
        if not np.isfinite(logits).all():
            raise C3DHubError(
                f"{item.path}: the network gives values that are no numbers, so its answers mean "
                "nothing; its weights are damaged, or the precision is too low for them: try "
                "precision='float32'"
            )
        weights = self.job.transform.weights
        self._count(item, np.tensordot(softmax(logits), weights, axes=(1, 0)))

    def _count(self, item: VideoItem, clips: NDArray[np.float64]) -> None:
        """Count one video, given the scores of its clips (n, num_classes)."""
        output = self.outputs[item.label]
        names = self.job.network.classes or self.videos.classes
        video = clips.mean(axis=0)
        self.clip_ranks.append(label_ranks(clips, np.full(len(clips), output)))
        answer = VideoAnswer(
            item=item,
            label=self.videos.classes[item.label],
            rank=int(label_ranks(video[None], np.array([output]))[0]),
            n_clips=len(clips),
            predictions=tuple(top(video, names, MOST)),
        )
        self.answers.append(answer)

    def result(self) -> Evaluation:
        """Return the figures. Raises DatasetError where no video could be read."""
        if not self.answers:
            first = self.broken[0]
            raise DatasetError(
                f"{named(self.videos)}: none of its {len(self.broken)} videos can be read; "
                f"the first: {first.path}: {first.reason}"
            )
        job = self.job
        return Evaluation(
            video=self._accuracy(self._ranks()),
            clip=self._accuracy(np.concatenate(self.clip_ranks)),
            per_class=self._per_class(),
            answers=tuple(self.answers),
            broken=tuple(self.broken),
            warnings=tuple(self.warnings),
            protocol=protocol_in_words(
                self.videos,
                job.network,
                job.reading.rule,
                job.transform,
                n_videos=len(self.answers),
            ),
            provenance=describe(job.network, stages=_STAGES, pool=True)
            | job.reading.describe()
            | {"crops": job.transform.crops, "data": self.videos.origin},
        )

    def _accuracy(self, ranks: NDArray[np.int64]) -> Accuracy:
        return Accuracy.of(ranks, num_classes=self.job.network.num_classes)

    def _ranks(self, label: int | None = None) -> NDArray[np.int64]:
        chosen = [a.rank for a in self.answers if label is None or a.item.label == label]
        return np.array(chosen, np.int64)

    def _per_class(self) -> tuple[ClassAccuracy, ...]:
        found = []
        for label, (name, output) in enumerate(zip(self.videos.classes, self.outputs, strict=True)):
            ranks = self._ranks(label)
            found.append(ClassAccuracy(name, output, self._accuracy(ranks) if len(ranks) else None))
        return tuple(found)
