"""The measurements of ``run.py``, one function each; all of them return figures."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import baseline
from made_videos import cut

from c3dhub.base.errors import C3DHubError
from c3dhub.cli.bench.exactness import footage_clips
from c3dhub.cli.bench.figures import Figure, rate_figures
from c3dhub.cli.bench.one_model import Subject, error_figures
from c3dhub.cli.bench.timing import Key, Timing, Work, interleaved
from c3dhub.cli.bench.workloads import (
    decode_work,
    end_after,
    end_to_end_work,
    matmul_works,
    network_work,
    warm_up,
)
from c3dhub.extract import extract_many
from c3dhub.extraction.feature_extractor import FeatureExtractor

PLAIN = "plain, batch 1"
PLAIN_BATCHED = "plain, batched"
WHOLE_WAYS = ("bfloat16 torch", "int8 openvino")
"""What is also run on many short videos, and as a whole process on the whole video."""

OVERHEAD = "end to end / (decode + network)"
SHORT_TO_LONG = "short videos / one long"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Parameters
    ----------
    repeats: rounds that count.
    seconds: of each video, for the steady state.
    batch: clips for the network alone; so many at once for the batched plain network.
    matmul_size: side of the matrices.
    piece_seconds, pieces: length and number of the short videos.
    whole_seconds: of the first video at most, for whole processes; None for all of it.
    """

    repeats: int = 3
    seconds: float = 30.0
    batch: int = 8
    matmul_size: int = 4096
    piece_seconds: float = 5.0
    pieces: int = 100
    whole_seconds: float | None = 300.0


QUICK = Settings(
    repeats=1, seconds=2, batch=2, matmul_size=256, piece_seconds=1, pieces=3, whole_seconds=2
)
_MEMORY_SECONDS = 10.0  # of the video, where only the memory of a process is asked for


def network_alone(subject: Subject, settings: Settings, *, say: Say) -> list[Figure]:
    """Return the rate of the network alone in every way, beside the matrix product's."""
    network, batch = subject.network, settings.batch
    clips = subject.clips[:batch]
    works = matmul_works(network.device, size=settings.matmul_size)
    works["network", PLAIN] = network_work(network, clips, batch=1)
    works["network", PLAIN_BATCHED] = network_work(network, clips, batch=batch)
    works |= {("network", form.way): network_work(form.network, clips) for form in subject.forms}
    return rate_figures(interleaved(works, repeats=2 * settings.repeats - 1, say=say))


def on_video(subject: Subject, settings: Settings, video: Path, *, say: Say) -> list[Figure]:
    """Return decoding alone, every way end to end, and what the two cost together."""
    name, network = str(video), subject.network
    end = end_after(name, seconds=settings.seconds)
    clips = footage_clips(name, network=network, count=settings.batch)
    works: dict[Key, Work] = {("decode", ""): decode_work(name, network=network, end=end)}
    for way, batch in ((PLAIN, 1), (PLAIN_BATCHED, settings.batch)):
        works["end to end", way] = _baseline_work(network, settings, video, batch=batch)
    for form in subject.forms:
        works["network", form.way] = network_work(form.network, clips)
        works["end to end", form.way] = end_to_end_work(name, network=form.network, end=end)
    warm_up(name, networks=[form.network for form in subject.forms])
    found = interleaved(works, repeats=settings.repeats, warm_up=0, say=say)
    kept = {key: timing for key, timing in found.items() if key[0] != "network"}
    return rate_figures(kept, video=video.name) + [
        Figure(OVERHEAD, overhead(found, form.way), "times", form.way, video.name)
        for form in subject.forms
    ]


def _baseline_work(
    network: FeatureExtractor, settings: Settings, video: Path, *, batch: int
) -> Work:
    seconds = settings.seconds
    return lambda: float(
        len(baseline.features(video, network=network, batch=batch, seconds=seconds))
    )


def overhead(found: dict[Key, Timing], way: str) -> float:
    """Return the time of a clip end to end over its times in decoder and network alone.

    1 is what a pipeline takes that does one after the other and loses nothing.
    """
    alone = 1 / found["decode", ""].rate + 1 / found["network", way].rate
    return 1 / found["end to end", way].rate / alone


def short_videos(subject: Subject, settings: Settings, video: Path, *, say: Say) -> list[Figure]:
    """Return clips per second of many short videos and of one long one with the same frames."""
    forms = [form for form in subject.forms if form.way in WHOLE_WAYS] or [subject.forms[0]]
    with TemporaryDirectory() as folder:
        say(f"cutting {video.name}")
        pieces, whole = cut(
            video, Path(folder), seconds=settings.piece_seconds, most=settings.pieces
        )
        works: dict[Key, Work] = {}
        for form in forms:
            works["one long video", form.way] = end_to_end_work(str(whole), network=form.network)
            works["short videos", form.way] = many_videos_work(pieces, network=form.network)
        found = interleaved(works, repeats=settings.repeats, warm_up=0, say=say)
    figures = rate_figures(found, video=video.name)
    for form in forms:
        short, long = found["short videos", form.way], found["one long video", form.way]
        ratio, best = times_as_fast(short, long)
        figures.append(Figure(SHORT_TO_LONG, ratio, "times", form.way, video.name, best))
    return figures


def many_videos_work(videos: Sequence[Path], *, network: FeatureExtractor) -> Work:
    """Return work that extracts the pooled features of many videos. It raises what a video does."""

    def work() -> float:
        count = 0
        for _, found in extract_many(videos, model=network):
            if isinstance(found, C3DHubError):
                raise found
            count += len(found)
        return float(count)

    return work


def times_as_fast(timing: Timing, other: Timing) -> tuple[float, float]:
    """Return the rate of ``timing`` over that of ``other``: of the medians, of the best runs."""
    return timing.rate / other.rate, timing.best_rate / other.best_rate


def whole_processes(
    subject: Subject, settings: Settings, video: Path, options: Sequence[str], *, say: Say
) -> list[Figure]:
    """Return seconds and memory of processes that start, load, extract and end.

    ``options`` are those of ``child.py`` that choose the model. The ways that are not timed run on
    a short part of the video, for their memory alone.
    """
    memory: dict[str, float | None] = {}

    def process(way: str, seconds: float | None) -> Work:
        limit = [] if seconds is None else ["--seconds", str(seconds)]
        arguments = ["--way", way, "--video", str(video), *limit, *options]

        def work() -> float:
            clips, memory[way] = _run_child(arguments)
            return clips

        return work

    served = [form.way for form in subject.forms]
    timed = [PLAIN, *(way for way in WHOLE_WAYS if way in served)]
    works = {("whole process", way): process(way, settings.whole_seconds) for way in timed}
    rounds = max(1, settings.repeats - 2)  # each takes minutes on a long video
    found = interleaved(works, repeats=rounds, warm_up=0, say=say)
    for way in served:
        if way not in timed:
            say(f"memory: {way}")
            process(way, min(_MEMORY_SECONDS, settings.whole_seconds or _MEMORY_SECONDS))()
    return [seconds_figure(key, t, video=video.name) for key, t in found.items()] + [
        Figure("memory", megabytes, "MB", way, video.name)
        for way, megabytes in memory.items()
        if megabytes is not None
    ]


def _run_child(arguments: Sequence[str]) -> tuple[float, float | None]:
    """Return the clips and the memory that ``child.py`` tells."""
    command = [sys.executable, str(Path(__file__).with_name("child.py")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return float(answer["clips"]), answer["memory_mb"]


def seconds_figure(key: Key, timing: Timing, *, video: str = "") -> Figure:
    """Return the figure of a duration."""
    (what, way), seconds = key, timing.seconds
    return Figure(what, statistics.median(seconds), "s", way, video, min(seconds), len(seconds))


def errors(subject: Subject) -> list[Figure]:
    """Return the errors of every form in every stage, and what making the forms took."""
    made = [Figure("prepare", form.prepare_seconds, "s", form.way) for form in subject.forms]
    return made + error_figures(subject, stages=subject.network.stage_names)
