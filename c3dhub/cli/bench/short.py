"""The short benchmark of ``c3dhub bench``: one model, one machine, about a minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...networks import VideoNetwork, count_flops
from .forms import Form, prepare_forms
from .losses import StageError, footage_clips, generated_clips, pooled_stages, stage_errors
from .rates import (
    BATCH,
    clip_seconds,
    decode_work,
    end_after,
    end_to_end_work,
    matmul_precisions,
    matmul_work,
    network_work,
    warm_up,
)
from .recommend import recommend
from .record import Figure, Record, make_record, rate_figure
from .timing import interleaved

PLAIN = "float32 plain"
"""The way of the network as ``c3dhub.load(name)`` gives it."""

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

    network: VideoNetwork
    forms: tuple[Form, ...]
    video: str | None
    clips: Tensor

    @property
    def networks(self) -> dict[str, VideoNetwork]:
        """Way -> network, the plain one first."""
        return {PLAIN: self.network, **{form.way: form.network for form in self.forms}}


def short_benchmark(
    network: VideoNetwork,
    *,
    video: str | None = None,
    accuracy: bool = False,
    repeats: int = 5,
    say: Say = lambda text: None,
) -> Record:
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
    clips = _clips(network, video)
    served, refused = prepare_forms(network, say=say)
    subject = Subject(network, tuple(served), video, clips)
    figures = [*network_figures(subject, repeats=repeats, say=say)]
    if video is not None:
        figures += video_figures(subject, figures, repeats=repeats, say=say)
    say("comparing the forms' features with float32's")
    stages = network.stage_names if accuracy else ("avgpool",)
    figures += error_figures(subject, stages=stages)
    return make_record(
        setup=_setup(subject),
        device=network.device.type,
        figures=figures,
        not_served=refused,
        recommendation=_recommendation(subject, figures),
    )


def _clips(network: VideoNetwork, video: str | None) -> Tensor:
    if video is None:
        return generated_clips(network, count=BATCH)
    return footage_clips(video, network=network, count=2 * BATCH)


def _setup(subject: Subject) -> dict[str, object]:
    config = subject.network.config
    return {
        "command": "c3dhub bench",
        "model": config.name,
        "architecture": config.architecture,
        "clip": [config.clip_len, config.input.crop_size, config.input.crop_size],
        "gflop_per_clip": count_flops(subject.network, config.clip_len) / 1e9,
        "clips": BATCH,
        "video": name_of(subject.video),
        "error_clips": len(subject.clips),
    }


def name_of(video: str | None) -> str:
    """Return a video's name in records: without its folder."""
    return Path(video).name if video is not None else ""


def network_figures(subject: Subject, *, repeats: int, say: Say) -> list[Figure]:
    """Return clips per second of the network alone and GFLOP per second of a matrix product."""
    network = subject.network
    clips = subject.clips[:BATCH]
    clips = clips.repeat(-(-BATCH // len(clips)), 1, 1, 1, 1)[:BATCH]
    precisions = matmul_precisions(network.device)
    works = {("matmul", p): matmul_work(p, device=network.device) for p in precisions}
    works |= {("network", way): network_work(n, clips) for way, n in subject.networks.items()}
    units = {"matmul": "GFLOP/s", "network": "clips/s"}
    found = interleaved(works, repeats=repeats, most_seconds=_NETWORK_SECONDS, say=say)
    return [
        rate_figure(what, timing, unit=units[what], way=way)
        for (what, way), timing in found.items()
    ]


def video_figures(
    subject: Subject, measured: list[Figure], *, repeats: int, say: Say
) -> list[Figure]:
    """Return clips per second of decoding alone and end to end, for a span that suits all."""
    assert subject.video is not None
    video, network = subject.video, subject.network
    slowest = min(f.value for f in measured if f.what == "network")
    count = max(_LEAST_CLIPS, _RUN_SECONDS * slowest)
    seconds = count * clip_seconds(video, clip_len=network.config.clip_len)
    end = end_after(video, seconds=seconds)
    works = {("decode", ""): decode_work(video, network=network, end=end)}
    for form in subject.forms:
        works["end to end", form.way] = end_to_end_work(video, network=form.network, end=end)
    say("warming up end to end")
    warm_up(video, networks=[form.network for form in subject.forms])
    found = interleaved(works, repeats=repeats, most_seconds=_VIDEO_SECONDS, warm_up=0, say=say)
    return [
        rate_figure(what, timing, unit="clips/s", way=way, video=name_of(video))
        for (what, way), timing in found.items()
    ]


def error_figures(subject: Subject, *, stages: tuple[str, ...]) -> list[Figure]:
    """Return the errors of every form in every stage against the plain network."""
    reference = pooled_stages(subject.network, subject.clips, stages=stages)
    name = name_of(subject.video)
    return [
        figure
        for form in subject.forms
        for stage, error in stage_errors(reference, form.network, subject.clips).items()
        for figure in _stage_figures(stage, error, way=form.way, video=name)
    ]


def _stage_figures(stage: str, error: StageError, *, way: str, video: str) -> list[Figure]:
    return [
        Figure(f"error {stage}, mean", error.relative_mean, "relative", way, video),
        Figure(f"error {stage}, worst", error.relative_worst, "relative", way, video),
        Figure(f"cosine {stage}, mean", error.cosine_mean, "cosine", way, video),
        Figure(f"cosine {stage}, worst", error.cosine_worst, "cosine", way, video),
    ]


def _recommendation(subject: Subject, figures: list[Figure]) -> str:
    what = "network" if subject.video is None else "end to end"
    rates: Mapping[str, float] = {f.way: f.value for f in figures if f.what == what}
    cosines = {f.way: f.value for f in figures if f.what == "cosine avgpool, worst"}
    return recommend({form.way: rates[form.way] for form in subject.forms}, cosines)
