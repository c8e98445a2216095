"""The parts of benchmarks/ that measure what ``c3dhub bench`` does not: many videos, memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import measure
import pytest
import torch
from child import peak_memory_mb
from hypothesis import given
from hypothesis import strategies as st
from make_video import write_video

from c3dhub.base.errors import VideoError
from c3dhub.cli.bench.timing import Timing
from c3dhub.networks import VideoNetwork


def test_all_clips_of_many_videos_are_counted(tiny: VideoNetwork, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 40, fps=10)
    assert measure.many_videos_work([video, video], network=tiny)() == 6


def test_a_video_that_fails_among_many_is_an_error(tiny: VideoNetwork, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no\.mp4"):
        measure.many_videos_work([tmp_path / "no.mp4"], network=tiny)()


def test_ratios_are_of_the_medians_and_of_the_best_runs() -> None:
    a, b = Timing((12.0,) * 3, (2.0, 4.0, 3.0)), Timing((6.0,) * 3, (1.0, 1.0, 6.0))
    assert measure.times_as_fast(b, a) == pytest.approx((1.5, 1.0))


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=9), st.floats(1e-3, 1e3))
def test_half_the_work_in_the_same_time_is_half_as_fast(
    seconds: list[float], amount: float
) -> None:
    timing, half = (Timing((work,) * len(seconds), tuple(seconds)) for work in (amount, amount / 2))
    assert measure.times_as_fast(timing, half) == pytest.approx((2, 2))


def test_memory_is_that_of_the_process_and_not_of_its_parent() -> None:
    own = peak_memory_mb()
    assert own is not None
    block = torch.ones(int(own * 1e6) + 300_000_000, dtype=torch.uint8)  # the parent is larger now
    code = "import torch; from child import peak_memory_mb; print(peak_memory_mb())"
    child = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, cwd=Path(measure.__file__).parent,
    )  # fmt: skip
    peak = peak_memory_mb()
    assert peak is not None
    assert 50 < float(child.stdout) < block.numel() / 1e6 < peak


def test_memory_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", refuse)
    peak = peak_memory_mb()
    assert peak is None or peak > 50
