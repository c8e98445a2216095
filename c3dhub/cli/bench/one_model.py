"""Measures one model on this machine, in about a minute, and says which form of it to take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ...extraction.feature_extractor import FeatureExtractor
from ...networks import count_flops
from .exactness import footage_clips, generated_clips, pooled_stages, stage_errors
from .figures import Figure, Measured, machine, rate_figures
from .forms import Form, prepare_forms
from .timing import interleaved
from .workloads import (
    BATCH,
    clip_seconds,
    decode_work,
    end_after,
    end_to_end_work,
    matmul_works,
    network_work,
    warm_up,
)

PLAIN = "float32 plain"
"""The way of the network as ``c3dhub.load(name)`` gives it."""

LEAST_COSINE = 0.999
"""Of the pooled features with float32's, on every clip, for a form to be recommended."""

WORTH_IT = 1.03
"""A less exact form must be this many times as fast as a more exact one: less is noise."""

_NETWORK_SECONDS = 18.0
_VIDEO_SECONDS = 20.0
_RUN_SECONDS = 2.0  # of the slowest form, end to end
_LEAST_CLIPS = 16  # end to end; fewer would mostly measure the start

Say = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """What is measured: the plain network, its forms, the clips that errors are taken on.

    Parameters
    ----------
    video: path, None where there is none.
    clips: float32 (N, 3, T, H, W), N at least 1.
    """

    network: FeatureExtractor
    forms: tuple[Form, ...]
    video: str | None
    clips: Tensor

    @property
    def video_name(self) -> str:
        """The video's name in figures: without its folder."""
        return "" if self.video is None else Path(self.video).name


def measure_model(
    network: FeatureExtractor,
    *,
    video: str | None = None,
    accuracy: bool = False,
    repeats: int = 5,
    say: Say = lambda text: None,
) -> Measured:
    """Measure a plain network in every form that this installation serves.

    Parameters
    ----------
    network: plain, frozen, on the device that is meant.
    video: also decoding alone and end to end, on as much of it as takes a few seconds.
    accuracy: also the errors of every stage, not only of the pooled features.
    repeats: rounds that count, fewer where time runs out.
    say: is told what is going on.

    Raises VideoError where the video cannot be read.
    """
    if video is None:
        clips = generated_clips(network, count=BATCH)
    else:
        clips = footage_clips(video, network=network, count=2 * BATCH)
    served, refused = prepare_forms(network, say=say)
    subject = Subject(network, tuple(served), video, clips)
    figures = _network_figures(subject, repeats=repeats, say=say)
    if video is not None:
        slowest = min(figure.value for figure in figures if figure.what == "network")
        figures += _video_figures(subject, video, slowest=slowest, repeats=repeats, say=say)
    say("comparing the forms' features with float32's")
    figures += error_figures(subject, stages=network.stage_names if accuracy else ("avgpool",))
    found = Measured(_setup(subject), machine(network.device.type), tuple(figures), refused)
    rates = found.by_way("network" if video is None else "end to end")
    return replace(found, recommendation=recommend(rates, found.by_way("cosine avgpool, worst")))


def _setup(subject: Subject) -> dict[str, object]:
    return {
        "command": "c3dhub bench",
        **model_setup(subject.network),
        "clips": BATCH,
        "video": subject.video_name,
        "error_clips": len(subject.clips),
    }


def model_setup(network: FeatureExtractor) -> dict[str, object]:
    """Return what a setup says of the model."""
    config = network.config
    return {
        "model": config.name,
        "architecture": config.architecture,
        "clip": [config.clip_len, config.input.crop_size, config.input.crop_size],
        "gflop_per_clip": count_flops(network, config.clip_len) / 1e9,
    }


def _network_figures(subject: Subject, *, repeats: int, say: Say) -> list[Figure]:
    """Return clips per second of the network alone and GFLOP per second of a matrix product."""
    clips = subject.clips[:BATCH]
    clips = clips.repeat(-(-BATCH // len(clips)), 1, 1, 1, 1)[:BATCH]
    works = matmul_works(subject.network.device)
    works["network", PLAIN] = network_work(subject.network, clips)
    works |= {("network", form.way): network_work(form.network, clips) for form in subject.forms}
    return rate_figures(interleaved(works, repeats=repeats, most_seconds=_NETWORK_SECONDS, say=say))


def _video_figures(
    subject: Subject, video: str, *, slowest: float, repeats: int, say: Say
) -> list[Figure]:
    """Return clips per second of decoding alone and end to end, for a span that suits all.

    ``slowest`` is the least of the networks' clips per second.
    """
    network = subject.network
    count = max(_LEAST_CLIPS, _RUN_SECONDS * slowest)
    seconds = count * clip_seconds(video, clip_len=network.config.clip_len)
    end = end_after(video, seconds=seconds)
    works = {("decode", ""): decode_work(video, network=network, end=end)}
    for form in subject.forms:
        works["end to end", form.way] = end_to_end_work(video, network=form.network, end=end)
    say("warming up end to end")
    warm_up(video, networks=[form.network for form in subject.forms])
    found = interleaved(works, repeats=repeats, most_seconds=_VIDEO_SECONDS, warm_up=0, say=say)
    return rate_figures(found, video=subject.video_name)


def error_figures(subject: Subject, *, stages: tuple[str, ...]) -> list[Figure]:
    """Return the errors of every form in every stage against the plain network."""
    reference = pooled_stages(subject.network, subject.clips, stages=stages)
    return [
        Figure(f"{what} {stage}, {kind}", value, unit, form.way, subject.video_name)
        for form in subject.forms
        for stage, error in stage_errors(reference, form.network, subject.clips).items()
        for what, kind, value, unit in (
            ("error", "mean", error.relative_mean, "relative"),
            ("error", "worst", error.relative_worst, "relative"),
            ("cosine", "mean", error.cosine_mean, "cosine"),
            ("cosine", "worst", error.cosine_worst, "cosine"),
        )
    ]


def recommend(rates: Mapping[str, float], cosines: Mapping[str, float]) -> str:
    """Return the way to take: the fastest one that loses no more than ``LEAST_COSINE`` allows.

    Parameters
    ----------
    rates: way -> clips per second.
    cosines: way -> the worst cosine over clips, the most exact way first; that one is always
        acceptable.

    Example: {"float32": 10, "bfloat16": 20, "int8": 40} with cosines of 1, 0.9999 and 0.95 gives
    "bfloat16".
    """
    best = next(iter(cosines))
    for way, cosine in cosines.items():
        if cosine >= LEAST_COSINE and rates[way] > rates[best] * WORTH_IT:
            best = way
    return best
