"""What a form loses: relative error and cosine of every stage against the plain float32 network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor

from ...clips.reading import read_clips
from ...clips.rule import ClipRule
from ...extraction.feature_extractor import FeatureExtractor
from ...video import open_video

_BATCH = 4  # all stages at once take memory
_SPREAD_SECONDS = 60.0
_TINY = 1e-12  # in the place of the length of a row of zeros


@dataclass(frozen=True)
class StageError:
    """How far the pooled features of a stage are from the plain network's, over clips.

    Parameters
    ----------
    relative_mean, relative_worst: L2 norm of the difference over the norm of the reference.
    cosine_mean, cosine_worst: cosine of the angle to the reference; worst is the least.
    """

    relative_mean: float
    relative_worst: float
    cosine_mean: float
    cosine_worst: float


def compare_rows(found: Tensor, reference: Tensor) -> StageError:
    """Compare features (N, D) row by row; both may be of any floating point dtype."""
    a, b = found.double(), reference.double()
    relative = (a - b).norm(dim=1) / b.norm(dim=1).clamp_min(_TINY)
    cosine = F.cosine_similarity(a, b, eps=_TINY)
    return StageError(
        relative_mean=float(relative.mean()),
        relative_worst=float(relative.max()),
        cosine_mean=float(cosine.mean()),
        cosine_worst=float(cosine.min()),
    )


def pooled_stages(
    network: FeatureExtractor, clips: Tensor, *, stages: Sequence[str]
) -> dict[str, Tensor]:
    """Return stage -> float32 (N, D) on the CPU for float32 clips (N, 3, T, H, W)."""
    rows: dict[str, list[Tensor]] = {stage: [] for stage in stages}
    with torch.inference_mode():
        for part in torch.split(clips, _BATCH):
            for stage, value in network.forward_stages(part.to(network.device), stages).items():
                value = value.float()
                rows[stage].append((value.mean((2, 3, 4)) if value.ndim == 5 else value).cpu())
    return {stage: torch.cat(values) for stage, values in rows.items()}


def stage_errors(
    reference: dict[str, Tensor], form: FeatureExtractor, clips: Tensor
) -> dict[str, StageError]:
    """Compare ``form`` with ``reference``, which :func:`pooled_stages` gave for the same clips."""
    found = pooled_stages(form, clips, stages=tuple(reference))
    return {stage: compare_rows(found[stage], rows) for stage, rows in reference.items()}


def footage_clips(video: str, *, network: FeatureExtractor, count: int) -> Tensor:
    """Return up to ``count`` clips, float32 (N, 3, T, H, W), spread over the first minute.

    Raises VideoError where the video gives none.
    """
    clip_len = network.config.clip_len
    with open_video(video) as source:
        frames = _SPREAD_SECONDS * (source.frame_rate or 25.0)
        if source.expected_frames is not None:
            frames = min(frames, source.expected_frames)
        stride = max(clip_len, int(frames) // count)
        rule = ClipRule(clip_len=clip_len, clip_stride=stride)
        transform = network.transforms
        clips = read_clips(source, rule=rule, transform=transform)
        found = [clip.frames for clip in islice(clips, count)]
    return transform.normalize(torch.stack(found))


def generated_clips(network: FeatureExtractor, *, count: int) -> Tensor:
    """Return clips of moving stripes and noise, float32 (N, C, T, H, W): good for timing.

    They are no footage: errors on them only tell that a form works.
    """
    config = network.config
    contract, size = config.input, config.input.crop_size
    shape = (count, config.in_channels, config.clip_len, size, size)
    generator = torch.Generator().manual_seed(0)
    phase = torch.rand(count, config.in_channels, 1, 1, 1, generator=generator) * 6.283
    t, y, x = (torch.arange(n).float() for n in shape[2:])
    angle = 0.4 * t[:, None, None] + 0.05 * y[:, None] + 0.11 * x  # (T, H, W)
    pixels = 0.5 + 0.35 * torch.sin(angle + phase) + 0.05 * torch.randn(shape, generator=generator)
    mean, std = (torch.tensor(v).view(-1, 1, 1, 1) for v in (contract.mean, contract.std))
    return (pixels.clamp(0, 1) * contract.max_value - mean) / std
