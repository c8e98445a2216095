"""Videos -> clips -> batches -> Features: the main job.

The whole story is :func:`extract`: clips are read in a thread (``clips/reading.py``), grouped into
batches (``pipeline.py``), normalised and put through the network (``clip_network.py``); the rows
are collected with their timestamps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..base.devices import resolve_device
from ..base.errors import C3DHubError
from ..base.progress import Progress
from ..clips.rule import ClipRule
from ..video import VideoSource
from .batch_size import fitting_batch_size
from .clip_network import ClipNetwork, Pending, Rows
from .features import Features
from .options import ComputeOptions, ExtractKeywords, ExtractOptions, Options, takes
from .pipeline import Opened, Reading, VideoRows, compute, read_batches
from .provenance import describe

if TYPE_CHECKING:
    from typing_extensions import Unpack

Found = Iterator[tuple[VideoSource, Features | C3DHubError]]


class FeatureExtractor(ClipNetwork):
    """A network that takes videos too."""

    def prepared(self, compute: ComputeOptions) -> FeatureExtractor:
        """Return the inference form of this network: the same function, faster, not trainable.

        It is made on the first call and kept; this network is moved to ``compute.device`` and else
        stays untouched. A change of the weights makes a new form, except one made through
        ``.data``, which torch does not count. A form itself is returned as it is.

        Raises ValueError for what this device, hardware or installation cannot serve, and for a
        form that is asked to be another one.
        """
        if compute.device is not None:
            place = resolve_device(compute.device)
            self.to(place)
            if self.device.type != place.type:
                raise ValueError(
                    f"device is {str(compute.device)!r}, but this inference form runs on "
                    f"{self.device} alone; load the model for that device"
                )
        if self.inference_precision is None:
            return self._make_form(compute)
        self.check_same_form(compute)
        return self

    def _make_form(self, compute: ComputeOptions) -> FeatureExtractor:
        raise NotImplementedError

    @takes(ExtractKeywords)
    def extract_features(
        self,
        video: VideoSource,
        *,
        progress: bool = False,
        options: Options | None = None,
        **given: Unpack[ExtractKeywords],
    ) -> Features:
        """Return the features of a video: :func:`c3dhub.extract_features` with this network."""
        chosen = ExtractOptions.of(options, given, ExtractKeywords)
        return extract_one(ready(self, chosen), video, chosen, progress=progress)


def ready(network: FeatureExtractor, compute: ComputeOptions) -> FeatureExtractor:
    """Return the inference form of a network for videos. Raises ValueError where it takes none."""
    if network.config.in_channels != 3:
        raise ValueError(
            f"this network takes {network.config.in_channels} channels, but video frames have 3; "
            "call forward_stages with tensors of your own"
        )
    return network.prepared(compute)


def extract_one(
    network: ClipNetwork, video: VideoSource, options: ExtractOptions, *, progress: bool
) -> Features:
    """Return the features of one video. Raises VideoError where it cannot be read."""
    [(_, result)] = extract(network, [video], options, progress=progress)
    if isinstance(result, C3DHubError):
        raise result
    return result


def extract(
    network: ClipNetwork, videos: Iterable[VideoSource], options: ExtractOptions, *, progress: bool
) -> Found:
    """Yield (video, features) for each of ``videos``, in order; (video, error) where one fails.

    ``network`` is an inference form. Options that do not fit it are errors before the first video
    is asked for.
    """
    network.check_stages(options.stages)
    rule = options.rule(network.config.clip_len)
    size = fitting_batch_size(options.batch_size, network, rule)
    reading = Reading(rule, network.transforms, replace(options, batch_size=size))
    job = _Job(network, tuple(options.stages), options.pool, reading)
    return _run(job, videos, progress=progress)


@dataclass(frozen=True)
class _Job:
    """What is done with every video: all of it checked, nothing of it about one video."""

    network: ClipNetwork
    stages: tuple[str, ...]
    pool: bool
    reading: Reading

    def begin(self, frames: Tensor) -> Pending:
        return self.network.start(frames, stages=self.stages, pool=self.pool)

    def features(self, rows: VideoRows) -> Features | C3DHubError:
        """Return the features of a video that is complete, or its error."""
        assert rows.ended is not None
        if rows.ended.error is not None:
            return rows.ended.error
        network, spans, rule = self.network, rows.spans, self.reading.rule
        parts = rows.arrays
        if not parts:
            parts = [_no_rows(network, stages=self.stages, pool=self.pool, clip_len=rule.clip_len)]
        return Features(
            arrays={name: np.concatenate([part[name] for part in parts]) for name in self.stages},
            start_seconds=np.array([span.start_seconds for span in spans], np.float64),
            end_seconds=np.array([span.end_seconds for span in spans], np.float64),
            start_frame=np.array([span.start_frame for span in spans], np.int64),
            end_frame=np.array([span.end_frame for span in spans], np.int64),
            n_valid_frames=np.array([span.n_valid for span in spans], np.int64),
            provenance=describe(network, stages=self.stages, pool=self.pool)
            | self.reading.describe()
            | {"source": rows.ended.origin},
            warnings=(*rows.ended.warnings, *_notes(rule, rows)),
        )


def _run(job: _Job, videos: Iterable[VideoSource], *, progress: bool) -> Found:
    given: deque[VideoSource] = deque()  # read by the thread that decodes, given back in order

    def remembered() -> Iterator[VideoSource]:
        for video in videos:
            given.append(video)
            yield video

    events = read_batches(remembered(), job.reading)
    total = len(videos) if isinstance(videos, Sized) else None
    bar = _Bar(total, enabled=progress)
    done = compute(events, job.begin, opened=bar.opened, clips_done=bar.clips_done)
    with closing(bar), closing(done):
        for rows in done:
            bar.video_done()
            yield given.popleft(), job.features(rows)


class _Bar:
    """Progress over the clips of one video, or over many videos."""

    def __init__(self, n_videos: int | None, *, enabled: bool) -> None:
        self._one = n_videos == 1
        self._bar = Progress(n_videos, unit="videos", label="extract", enabled=enabled)

    def opened(self, video: Opened) -> None:
        if self._one:
            self._bar.unit, self._bar.label = "clips", video.name
            self._bar.restart(done=0, total=video.expected)

    def clips_done(self, count: int) -> None:
        if self._one:
            self._bar.update(count)

    def video_done(self) -> None:
        if not self._one:
            self._bar.update(1)

    def close(self) -> None:
        self._bar.close()


def _notes(rule: ClipRule, rows: VideoRows) -> Iterator[str]:
    if not rows.spans:
        yield (
            f"the paper2018 rule gives no clip for a video of at most {rule.span} frames; "
            "preset='sliding' would give one"
        )
    elif rule.tail == "drop" and rows.spans[0].n_valid < rule.clip_len:
        yield "the video is too short for a whole clip: its only clip was completed by looping"


def _no_rows(network: ClipNetwork, *, stages: Sequence[str], pool: bool, clip_len: int) -> Rows:
    """Return the arrays of a video without clips: no rows, but the shapes of one black clip's."""
    side = network.config.input.crop_size
    black = torch.zeros(1, clip_len, side, side, 3, dtype=torch.uint8)
    rows = network.start(black, stages=stages, pool=pool)()
    return {name: value[:0] for name, value in rows.items()}
