"""The measurements of ``run.py``, one function each; all of them return figures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import baseline
from made_videos import cut

from c3dhub.cli.bench.losses import footage_clips
from c3dhub.cli.bench.rates import (
    decode_work,
    end_after,
    end_to_end_work,
    many_videos_work,
    matmul_precisions,
    matmul_work,
    network_work,
    warm_up,
)
from c3dhub.cli.bench.record import Figure, rate_figure, seconds_figure
from c3dhub.cli.bench.short import Subject, error_figures
from c3dhub.cli.bench.timing import Key, Timing, Work, interleaved

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
    works: dict[Key, Work] = {}
    for precision in matmul_precisions(network.device):
        work = matmul_work(precision, device=network.device, size=settings.matmul_size)
        works["matmul", precision] = work
    works["network", PLAIN] = network_work(network, clips, batch=1)
    works["network", PLAIN_BATCHED] = network_work(network, clips, batch=batch)
    for form in subject.forms:
        works["network", form.way] = network_work(form.network, clips)
    found = interleaved(works, repeats=2 * settings.repeats - 1, say=say)
    units = {"matmul": "GFLOP/s", "network": "clips/s"}
    return [rate_figure(what, t, unit=units[what], way=way) for (what, way), t in found.items()]


def on_video(subject: Subject, settings: Settings, video: Path, *, say: Say) -> list[Figure]:
    """Return decoding alone, every way end to end, and what the two cost together."""
    end = end_after(str(video), seconds=settings.seconds)
    clips = footage_clips(str(video), network=subject.network, count=settings.batch)
    works: dict[Key, Work] = {
        ("decode", ""): decode_work(str(video), network=subject.network, end=end)
    }
    for way, batch in ((PLAIN, 1), (PLAIN_BATCHED, settings.batch)):
        works["end to end", way] = _baseline_work(subject, settings, video, batch=batch)
    for form in subject.forms:
        works["network", form.way] = network_work(form.network, clips)
        work = end_to_end_work(str(video), network=form.network, end=end)
        works["end to end", form.way] = work
    warm_up(str(video), networks=[form.network for form in subject.forms])
    found = interleaved(works, repeats=settings.repeats, warm_up=0, say=say)
    kept = [(key, timing) for key, timing in found.items() if key[0] != "network"]
    rates = [
        rate_figure(what, timing, unit="clips/s", way=way, video=video.name)
        for (what, way), timing in kept
    ]
    return rates + [
        Figure(OVERHEAD, overhead(found, form.way), "times", form.way, video.name)
        for form in subject.forms
    ]


def _baseline_work(subject: Subject, settings: Settings, video: Path, *, batch: int) -> Work:
    seconds = settings.seconds

    def work() -> float:
        rows = baseline.features(video, network=subject.network, batch=batch, seconds=seconds)
        return float(len(rows))

    return work


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
    rates = [
        rate_figure(what, timing, unit="clips/s", way=way, video=video.name)
        for (what, way), timing in found.items()
    ]
    ratios = [
        found["short videos", form.way].times_as_fast_as(found["one long video", form.way])
        for form in forms
    ]
    return rates + [
        Figure(SHORT_TO_LONG, ratio, "times", form.way, video.name, best)
        for form, (ratio, best) in zip(forms, ratios, strict=True)
    ]


def whole_processes(
    subject: Subject, settings: Settings, video: Path, options: Sequence[str], *, say: Say
) -> list[Figure]:
    """Return seconds and memory of processes that start, load, extract and end.

    ``options`` are those of ``child.py`` that choose the model. The ways that are not timed run on
    a short part of the video, for their memory alone.
    """
    memory: dict[str, float | None] = {}
    timed = [way for way in WHOLE_WAYS if any(form.way == way for form in subject.forms)]
    works: dict[Key, Work] = {
        ("whole process", PLAIN): _process(
            "plain", PLAIN, video, settings.whole_seconds, options, memory
        )
    }
    for way in timed:
        work = _process(way, way, video, settings.whole_seconds, options, memory)
        works["whole process", way] = work
    rounds = max(1, settings.repeats - 2)  # each takes minutes on a long video
    found = interleaved(works, repeats=rounds, warm_up=0, say=say)
    for form in subject.forms:
        if form.way not in memory:
            say(f"memory: {form.way}")
            seconds = min(_MEMORY_SECONDS, settings.whole_seconds or _MEMORY_SECONDS)
            _process(form.way, form.way, video, seconds, options, memory)()
    return [
        *(seconds_figure(what, t, way=way, video=video.name) for (what, way), t in found.items()),
        *(
            Figure("memory", megabytes, "MB", way, video.name)
            for way, megabytes in memory.items()
            if megabytes is not None
        ),
    ]


def _process(
    job: str,
    way: str,
    video: Path,
    seconds: float | None,
    options: Sequence[str],
    memory: dict[str, float | None],
) -> Work:
    """Return work that runs ``child.py`` and notes its memory."""
    limit = [] if seconds is None else ["--seconds", str(seconds)]
    script = Path(__file__).with_name("child.py")
    command = [sys.executable, str(script), "--way", job, "--video", str(video), *limit, *options]

    def work() -> float:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
        answer = json.loads(done.stdout.splitlines()[-1])
        memory[way] = answer["memory_mb"]
        return float(answer["clips"])

    return work


def errors(subject: Subject) -> list[Figure]:
    """Return the errors of every form in every stage, and what making the forms took."""
    made = [Figure("prepare", form.prepare_seconds, "s", form.way) for form in subject.forms]
    return made + error_figures(subject, stages=subject.network.stage_names)
