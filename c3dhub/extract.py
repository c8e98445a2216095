"""video -> clips -> batches -> Features: the main job.

The whole story is :func:`extract_features`: clips are read in a thread (``reader.py``), grouped
into batches, normalised and put through the network; the rows are collected with their timestamps.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ._version import __version__
from .architectures import VideoNetwork, stage_shapes
from .background import ahead
from .clips import Align, ClipRule, Preset, Tail
from .devices import resolve_device
from .features import Features
from .inference import Precision, inference_form
from .progress import Progress
from .reader import ClipSpan, batches, read_clips
from .video import Errors, Video, VideoSource, open_video

T = TypeVar("T")

# Rule of thumb for the memory that a clip takes: floats of activation per float of its input.
_FLOATS_PER_INPUT = 50
_MOST_CLIPS = {"cpu": 4}  # more are no faster there and take more memory
_MOST_CLIPS_ACCELERATOR = 32


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
    device: str | torch.device | None = None,
    errors: Errors = "raise",
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
        clips, see :class:`c3dhub.clips.ClipRule`.
    batch_size: clips that go through the network at once; None fits them to the free memory.
    precision: ``"float32"`` (default), ``"bfloat16"``, ``"float16"`` or ``"auto"``.
    device: where to compute; None leaves the network where it is.
    errors: ``"raise"``: a video that yields no frame is an error, one that breaks off gives what
        came before, and ``Features.warnings`` says so. ``"strict"``: any decoding error is one.
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
    network = _network(model, device=device, precision=precision)
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
    if network.config.in_channels != 3:
        raise ValueError(
            f"this network takes {network.config.in_channels} channels, but video frames have 3; "
            "call forward_stages with tensors of your own"
        )
    size = _batch_size(batch_size, network, rule)
    rows = _Rows()
    with open_video(video, errors=errors) as source, _in_background(source.sha256) as digest:
        bar = Progress(_expected(source, rule), unit="clips", label=source.name, enabled=progress)
        clips = read_clips(source, rule=rule, transform=network.transforms)
        with closing(bar), closing(ahead(batches(clips, size=size), depth=1)) as ready:
            for frames, spans in ready:
                rows.add(run(network, frames, stages=stages, pool=pool), spans)
                bar.update(len(spans))
        notes = (*source.warnings, *_notes(rule, rows))
        origin = {"name": source.name, "size_bytes": source.size_bytes, "sha256": digest.result()}
    provenance = describe(network, stages=stages, pool=pool) | {
        "clip_rule": rule.to_dict(),
        "source": origin,
    }
    if not rows.spans:
        rows.arrays.append(_no_rows(network, stages=stages, pool=pool, clip_len=rule.clip_len))
    return rows.features(provenance, notes)


@contextmanager
def _in_background(task: Callable[[], T]) -> Iterator[Future[T]]:
    """Run ``task`` in a thread; after an error nobody waits for it."""
    pool = ThreadPoolExecutor(1)
    try:
        yield pool.submit(task)
    finally:
        pool.shutdown(wait=False)


def run(
    network: VideoNetwork, frames: Tensor, *, stages: Sequence[str], pool: bool
) -> dict[str, np.ndarray]:
    """Put uint8 clips (N, T, H, W, 3) through the network: stage -> float32 (N, ...).

    A batch for which memory runs out is tried again in halves.
    """
    try:
        with torch.inference_mode():
            on_device = frames.to(network.device, non_blocking=True)
            clips = network.transforms.normalize(on_device, dtype=network.dtype)
            found = network.forward_stages(clips, stages)
            return {name: _to_numpy(value, pool=pool) for name, value in found.items()}
    except RuntimeError as error:
        if len(frames) == 1 or not _out_of_memory(error):
            raise
    halves = [run(network, half, stages=stages, pool=pool) for half in frames.chunk(2)]
    return {name: np.concatenate([half[name] for half in halves]) for name in halves[0]}


def describe(network: VideoNetwork, *, stages: Sequence[str], pool: bool) -> dict[str, Any]:
    """Return what the provenance says of the network and of how it was run."""
    config = network.config
    return {
        "c3dhub_version": __version__,
        "torch_version": torch.__version__,
        "model": {
            "name": config.name,
            "architecture": config.architecture,
            "weights_sha256": network.weights_sha256,
        },
        "input": config.to_dict()["input"],
        "precision": network.inference_precision,
        "device": network.device.type,
        "stages": list(stages),
        "pool": pool,
    }


@dataclass
class _Rows:
    """Collects the rows of all batches."""

    arrays: list[dict[str, np.ndarray]] = field(default_factory=list)
    spans: list[ClipSpan] = field(default_factory=list)

    def add(self, outputs: dict[str, np.ndarray], spans: Sequence[ClipSpan]) -> None:
        self.arrays.append(outputs)
        self.spans.extend(spans)

    def features(self, provenance: dict[str, Any], warnings: Sequence[str]) -> Features:
        return Features(
            arrays={
                name: np.concatenate([batch[name] for batch in self.arrays])
                for name in self.arrays[0]
            },
            start_seconds=np.array([span.start_seconds for span in self.spans], np.float64),
            end_seconds=np.array([span.end_seconds for span in self.spans], np.float64),
            start_frame=np.array([span.start_frame for span in self.spans], np.int64),
            end_frame=np.array([span.end_frame for span in self.spans], np.int64),
            n_valid_frames=np.array([span.n_valid for span in self.spans], np.int64),
            provenance=provenance,
            warnings=tuple(warnings),
        )


def _network(
    model: VideoNetwork | str, *, device: str | torch.device | None, precision: Precision | None
) -> VideoNetwork:
    if not isinstance(model, VideoNetwork):
        # The one step down to the hub: callers with a network of their own never take it.
        from .hub import load

        model = load(model, device=device)
    elif device is not None:
        model = model.to(resolve_device(device))
    return inference_form(model, precision=precision)


def _batch_size(wanted: int | None, network: VideoNetwork, rule: ClipRule) -> int:
    if wanted is not None:
        if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
            raise ValueError(f"batch_size is {wanted!r}; it must be a whole number above 0 or None")
        return wanted
    device = network.device
    side = network.config.input.crop_size
    clip_bytes = 4 * _FLOATS_PER_INPUT * network.config.in_channels * rule.clip_len * side * side
    most = _MOST_CLIPS.get(device.type, _MOST_CLIPS_ACCELERATOR)
    return max(1, min(most, _free_memory(device) // 4 // clip_bytes))


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4 << 30  # systems that do not tell: what a laptop can spare


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _to_numpy(value: Tensor, *, pool: bool) -> np.ndarray:
    value = value.float()
    if pool and value.ndim == 5:
        value = value.mean(dim=(2, 3, 4))  # (N, C, T', H', W') -> (N, C)
    return value.contiguous().cpu().numpy()


def _no_rows(
    network: VideoNetwork, *, stages: Sequence[str], pool: bool, clip_len: int
) -> dict[str, np.ndarray]:
    """Return the arrays of a video without clips: no rows, but the right shapes."""
    shapes = stage_shapes(network, clip_len, network.config.input.crop_size)
    return {
        name: np.empty((0, *(shapes[name][:1] if pool else shapes[name])), np.float32)
        for name in stages
    }


def _expected(source: Video, rule: ClipRule) -> int | None:
    """Return about how many clips will come, for the progress bar alone."""
    if source.expected_frames is None or rule.start is not None or rule.end is not None:
        return None
    samples = source.expected_frames
    if rule.fps is not None and source.frame_rate:
        samples = round(samples * rule.fps / source.frame_rate)
    return math.ceil(samples / rule.stride)


def _notes(rule: ClipRule, rows: _Rows) -> Iterator[str]:
    if not rows.spans:
        yield (
            f"the paper2018 rule gives no clip for a video of at most {rule.span} frames; "
            "preset='sliding' would give one"
        )
    elif rule.tail == "drop" and rows.spans[0].n_valid < rule.clip_len:
        yield "the video is too short for a whole clip: its only clip was completed by looping"
