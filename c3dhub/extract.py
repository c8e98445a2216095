"""video -> clips -> batches -> Features: the main job.

The whole story is :func:`extract_features`: clips are read in a thread (``reader.py``), grouped
into batches (``pipeline.py``), normalised and put through the network (``running.py``); the rows
are collected with their timestamps. :func:`extract_many` does the same for many videos in one go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .base.devices import resolve_device
from .base.errors import C3DHubError
from .base.progress import Progress
from .clips.rule import Align, ClipRule, Preset, Tail
from .extraction.computing import Pending, describe, fitting_batch_size, no_rows
from .extraction.computing import start as begin
from .extraction.engines import Engine, Precision, inference_form
from .extraction.features import Features
from .extraction.pipeline import Opened, Reading, VideoRows, compute, read_batches
from .extraction.predictions import softmax, top
from .networks import VideoNetwork
from .video import Decode, Errors, VideoSource


def extract_features(
    video: VideoSource,
    *,
    model: VideoNetwork | str,
    stages: Sequence[str] = ("avgpool",),
    pool: bool = True,
    clip_len: int | None = None,
    clip_stride: int | None = None,
    frame_stride: int = 1,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    tail: Tail = "loop",
    align: Align = "start",
    preset: Preset = "sliding",
    batch_size: int | None = None,
    precision: Precision | None = None,
    engine: Engine | None = None,
    device: str | torch.device | None = None,
    errors: Errors = "raise",
    decode: Decode = "exact",
    progress: bool = False,
) -> Features:
    """Return the features of every clip of a video, with timestamps.

    Parameters
    ----------
    video: path, file object, bytes, folder of numbered images, or uint8 (T, H, W, 3).
    model: a network of :func:`c3dhub.load`, or what ``load`` takes. For many videos load it once.
    stages: ``"stem"``, ``"layer1"`` .. ``"layer4"`` (DenseNet: ``"denseblock1"`` .. ``"4"``),
        ``"avgpool"``, ``"logits"``.
    pool: True gives (n_clips, C) per stage, the mean over time and space; False gives the maps
        (n_clips, C, T', H', W'). ``avgpool`` and ``logits`` are (n_clips, D) either way.
    clip_len: frames of a clip; None is what the network was trained with (16 or 64).
    clip_stride, frame_stride, fps, start, end, tail, align, preset: how the video is cut into
        clips, see :class:`c3dhub.ClipRule`.
    batch_size: clips that go through the network at once; None fits them to the free memory.
    precision: ``"float32"`` (default), ``"bfloat16"``, ``"float16"``, ``"int8"`` or ``"auto"``.
    engine: ``"torch"`` or ``"openvino"``, see :func:`c3dhub.extraction.engines.inference_form`.
    device: where to compute; None leaves the network where it is.
    errors: ``"raise"``: a video that yields no frame is an error, one that breaks off gives what
        came before, and ``Features.warnings`` says so. ``"strict"``: any decoding error is one.
    decode: ``"exact"``, or ``"fast"``: coarser pixels, see :func:`c3dhub.video.open_video`.
    progress: show clips done and time left on stderr.

    Returns
    -------
    Features whose provenance names model, weights, clip rule, source and versions.

    Raises
    ------
    VideoError: the video cannot be read. ValueError, TypeError: an option is wrong.

    Example: a 14 s video of 420 frames gives 27 clips of 16 frames, the last with 4 frames of its
    own, looped.
    """
    [(_, result)] = extract_many(
        [video],
        model=model,
        stages=stages,
        pool=pool,
        clip_len=clip_len,
        clip_stride=clip_stride,
        frame_stride=frame_stride,
        fps=fps,
        start=start,
        end=end,
        tail=tail,
        align=align,
        preset=preset,
        batch_size=batch_size,
        precision=precision,
        engine=engine,
        device=device,
        errors=errors,
        decode=decode,
        progress=progress,
    )
    if isinstance(result, C3DHubError):
        raise result
    return result


def extract_many(
    videos: Iterable[VideoSource],
    *,
    model: VideoNetwork | str,
    stages: Sequence[str] = ("avgpool",),
    pool: bool = True,
    clip_len: int | None = None,
    clip_stride: int | None = None,
    frame_stride: int = 1,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    tail: Tail = "loop",
    align: Align = "start",
    preset: Preset = "sliding",
    batch_size: int | None = None,
    precision: Precision | None = None,
    engine: Engine | None = None,
    device: str | torch.device | None = None,
    errors: Errors = "raise",
    decode: Decode = "exact",
    progress: bool = False,
) -> Iterator[tuple[VideoSource, Features | C3DHubError]]:
    """Yield (video, features) for each of ``videos``, in order; (video, error) where one fails.

    Faster than a loop over :func:`extract_features` where videos are short: batches run across
    videos, and the next video is opened and decoded while the network computes the last.

    Parameters
    ----------
    videos: whatever :func:`extract_features` takes, any number of them, also from a generator.
    others: as in :func:`extract_features`. ``progress`` counts videos.

    An unreadable video is yielded with its VideoError and the others go on. Wrong options raise
    ValueError or TypeError at once, before a video is opened; an item that is no video at all (a
    number, an empty array) raises them too, after the results of the videos before it.

    Example::

        for path, result in c3dhub.extract_many(paths, model=model):
            if isinstance(result, c3dhub.Features):
                result.save(folder / f"{path.stem}.safetensors")
    """
    if isinstance(videos, (str, bytes, PathLike)):
        raise TypeError(f"videos is {videos!r}; give a list of videos, or use extract_features")
    network = ready_network(model, device=device, precision=precision, engine=engine)
    rule = ClipRule(
        clip_len=network.config.clip_len if clip_len is None else clip_len,
        clip_stride=clip_stride,
        frame_stride=frame_stride,
        fps=fps,
        start=start,
        end=end,
        tail=tail,
        align=align,
        preset=preset,
    )
    network.check_stages(stages)
    size = fitting_batch_size(batch_size, network, rule)
    reading = Reading(rule, network.transforms, size, errors, decode)
    job = _Job(network, tuple(stages), pool, reading)
    return _run(job, videos, progress=progress)


def classify(
    video: VideoSource,
    *,
    model: VideoNetwork | str,
    topk: int = 5,
    per_clip: bool = False,
    clip_len: int | None = None,
    clip_stride: int | None = None,
    frame_stride: int = 1,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    tail: Tail = "loop",
    align: Align = "start",
    preset: Preset = "sliding",
    batch_size: int | None = None,
    precision: Precision | None = None,
    engine: Engine | None = None,
    device: str | torch.device | None = None,
    errors: Errors = "raise",
    decode: Decode = "exact",
    progress: bool = False,
) -> list[Any]:
    """Return the ``topk`` most likely classes of a video, best first.

    Parameters
    ----------
    topk: how many classes, at most ``num_classes``.
    per_clip: False gives one list of :class:`Prediction` for the video, scores being the mean over
        clips of the softmax; True gives a dict per clip with ``start_seconds``, ``end_seconds`` and
        ``predictions``.
    others: as in :func:`c3dhub.extract_features`.

    Labels are None where the release has no known class names.
    """
    if not isinstance(model, VideoNetwork):
        from .hub import load  # as in extract_features: only names need the hub

        model = load(model, device=device)
    if not isinstance(topk, int) or isinstance(topk, bool) or not 1 <= topk <= model.num_classes:
        raise ValueError(f"topk is {topk!r}; it must be from 1 to {model.num_classes}")
    features = extract_features(
        video,
        model=model,
        stages=("logits",),
        clip_len=clip_len,
        clip_stride=clip_stride,
        frame_stride=frame_stride,
        fps=fps,
        start=start,
        end=end,
        tail=tail,
        align=align,
        preset=preset,
        batch_size=batch_size,
        precision=precision,
        engine=engine,
        device=device,
        errors=errors,
        decode=decode,
        progress=progress,
    )
    scores = softmax(features["logits"])  # (n_clips, num_classes)
    if per_clip:
        return [
            {
                "start_seconds": float(features.start_seconds[i]),
                "end_seconds": float(features.end_seconds[i]),
                "predictions": top(scores[i], model.classes, topk),
            }
            for i in range(len(features))
        ]
    return top(scores.mean(axis=0), model.classes, topk) if len(features) else []


@dataclass(frozen=True)
class _Job:
    """What is done with every video: all of it checked, nothing of it about one video."""

    network: VideoNetwork
    stages: tuple[str, ...]
    pool: bool
    reading: Reading

    def begin(self, frames: Tensor) -> Pending:
        return begin(self.network, frames, stages=self.stages, pool=self.pool)

    def features(self, rows: VideoRows) -> Features | C3DHubError:
        """Return the features of a video that is complete, or its error."""
        assert rows.ended is not None
        if rows.ended.error is not None:
            return rows.ended.error
        network, spans, rule = self.network, rows.spans, self.reading.rule
        parts = rows.arrays
        if not parts:
            parts = [no_rows(network, stages=self.stages, pool=self.pool, clip_len=rule.clip_len)]
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


def _run(
    job: _Job, videos: Iterable[VideoSource], *, progress: bool
) -> Iterator[tuple[VideoSource, Features | C3DHubError]]:
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
        self._enabled = enabled

    def opened(self, video: Opened) -> None:
        if self._one:
            self._bar = Progress(
                video.expected, unit="clips", label=video.name, enabled=self._enabled
            )

    def clips_done(self, count: int) -> None:
        if self._one:
            self._bar.update(count)

    def video_done(self) -> None:
        if not self._one:
            self._bar.update(1)

    def close(self) -> None:
        self._bar.close()


def ready_network(
    model: VideoNetwork | str,
    *,
    device: str | torch.device | None,
    precision: Precision | None,
    engine: Engine | None,
) -> VideoNetwork:
    """Return the inference form of ``model``, a network for videos or its name."""
    if not isinstance(model, VideoNetwork):
        # The one step down to the hub: callers with a network of their own never take it.
        from .hub import load

        model = load(model, device=device)
    elif device is not None:
        place = resolve_device(device)
        model = model.to(place)
        if model.device.type != place.type:
            raise ValueError(
                f"device is {str(device)!r}, but this inference form runs on {model.device} alone; "
                "load the model for that device"
            )
    if model.config.in_channels != 3:
        raise ValueError(
            f"this network takes {model.config.in_channels} channels, but video frames have 3; "
            "call forward_stages with tensors of your own"
        )
    return inference_form(model, precision=precision, engine=engine)


def _notes(rule: ClipRule, rows: VideoRows) -> Iterator[str]:
    if not rows.spans:
        yield (
            f"the paper2018 rule gives no clip for a video of at most {rule.span} frames; "
            "preset='sliding' would give one"
        )
    elif rule.tail == "drop" and rows.spans[0].n_valid < rule.clip_len:
        yield "the video is too short for a whole clip: its only clip was completed by looping"
