"""The measuring arithmetic: rates, ratios, errors, the recommendation."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from history import Record
from hypothesis import given
from hypothesis import strategies as st
from make_video import numbered_image, write_video

from c3dhub.cli.bench import forms, one_model, workloads
from c3dhub.cli.bench.exactness import (
    compare_rows,
    footage_clips,
    generated_clips,
    pooled_stages,
    stage_errors,
)
from c3dhub.cli.bench.one_model import recommend
from c3dhub.cli.bench.timing import Key, Timing, Work, interleaved
from c3dhub.cli.loading import load_plain
from c3dhub.extract import extract_features
from c3dhub.networks import VideoNetwork

TORCH_FORMS = (("float32", "torch"), ("float16", "torch"))


class FakeClock:
    """A clock that moves when work is done."""

    def __init__(self) -> None:
        self.now = 100.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, seconds: list[float], *, amount: float = 1.0) -> Work:
        left = iter(seconds)

        def do() -> float:
            self.order.append(name)
            self.now += next(left)
            return amount

        return do


# Timing -------------------------------------------------------------------------------------------


def test_candidates_run_in_turn_and_warming_up_does_not_count() -> None:
    clock = FakeClock()
    works: dict[Key, Work] = {
        ("network", "a"): clock.work("a", [50, 2, 4, 3], amount=12),
        ("network", "b"): clock.work("b", [50, 1, 1, 6], amount=6),
    }
    said: list[str] = []
    found = interleaved(works, repeats=3, clock=clock, say=said.append)
    assert clock.order == ["a", "b"] * 4
    a, b = found["network", "a"], found["network", "b"]
    assert a.seconds == pytest.approx((2, 4, 3))
    assert a.amounts == (12, 12, 12)
    assert a.rate == pytest.approx(4)  # 6, 3, 4
    assert a.best_rate == pytest.approx(6)
    assert b.rate == pytest.approx(6)
    assert said[0] == "warming up: network a"
    assert said[-1] == "round 3 of at most 3: network b"


@pytest.mark.parametrize(("most_seconds", "rounds"), [(1.0, 1), (19.9, 1), (20.0, 2), (35.0, 3)])
def test_no_round_is_begun_that_would_end_too_late(most_seconds: float, rounds: int) -> None:
    clock = FakeClock()
    works: dict[Key, Work] = {("x", ""): clock.work("x", [10] * 9)}
    found = interleaved(works, repeats=9, warm_up=0, most_seconds=most_seconds, clock=clock)
    assert len(found["x", ""].seconds) == rounds


def test_nothing_to_time_is_refused() -> None:
    with pytest.raises(ValueError, match="repeats is 0; it must be at least 1"):
        interleaved({}, repeats=0)
    with pytest.raises(ValueError, match="at least one run"):
        Timing((), ())
    with pytest.raises(ValueError, match="must be above 0"):
        Timing((1.0,), (0.0,))


times = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=9)


@given(times, st.floats(1e-3, 1e3))
def test_rates_are_between_slowest_and_best_and_scale_with_the_work(
    seconds: list[float], amount: float
) -> None:
    timing = Timing((amount,) * len(seconds), tuple(seconds))
    assert min(timing.rates) <= timing.rate <= timing.best_rate
    half = Timing((amount / 2,) * len(seconds), tuple(seconds))
    assert timing.rate / half.rate == pytest.approx(2)
    assert timing.best_rate / half.best_rate == pytest.approx(2)


# Recommendation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates_", "cosines", "expected"),
    [
        ({"f": 10, "b": 20, "i": 40}, {"f": 1.0, "b": 0.9999, "i": 0.9995}, "i"),
        ({"f": 10, "b": 20, "i": 40}, {"f": 1.0, "b": 0.9999, "i": 0.95}, "b"),
        ({"f": 10, "b": 10.2}, {"f": 1.0, "b": 0.9999}, "f"),  # not worth it
        ({"f": 10, "b": 5}, {"f": 1.0, "b": 0.9999}, "f"),
        ({"f": 10}, {"f": 1.0}, "f"),
    ],
)
def test_the_fastest_form_within_the_bound_is_recommended(
    rates_: dict[str, float], cosines: dict[str, float], expected: str
) -> None:
    assert recommend(rates_, cosines) == expected


# Errors -------------------------------------------------------------------------------------------


def test_errors_are_taken_row_by_row() -> None:
    reference = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    found = torch.tensor([[3.0, 4.5], [0.0, 1.0]])
    error = compare_rows(found, reference)
    relative = [0.5 / 5, math.sqrt(2)]
    cosine = [(9 + 18) / (5 * math.hypot(3, 4.5)), 0.0]
    assert error.relative_mean == pytest.approx(sum(relative) / 2)
    assert error.relative_worst == pytest.approx(relative[1])
    assert error.cosine_mean == pytest.approx(sum(cosine) / 2)
    assert error.cosine_worst == pytest.approx(0.0)


def test_features_of_zeros_give_numbers() -> None:
    error = compare_rows(torch.zeros(2, 3), torch.zeros(2, 3))
    assert error.relative_worst == 0
    assert math.isfinite(error.cosine_worst)


def test_every_stage_is_compared_and_the_network_equals_itself(tiny: VideoNetwork) -> None:
    clips = generated_clips(tiny, count=5)
    assert clips.shape == (5, 3, 16, 112, 112)
    reference = pooled_stages(tiny, clips, stages=tiny.stage_names)
    assert {rows.shape[0] for rows in reference.values()} == {5}
    assert {rows.ndim for rows in reference.values()} == {2}
    found = stage_errors(reference, tiny, clips)
    assert set(found) == set(tiny.stage_names)
    assert all(error.relative_worst == 0 for error in found.values())


def test_generated_clips_are_on_the_scale_of_the_network(tiny: VideoNetwork) -> None:
    clips = generated_clips(tiny, count=2)
    assert -115 <= float(clips.min()) < -50
    assert 50 < float(clips.max()) <= 156


def test_clips_are_spread_over_the_footage(tiny: VideoNetwork, tmp_path: Path) -> None:
    # 200 frames in 4 clips: starts at 0, 50, 100, 150, so the numbers 0, 50, ... come first.
    video = write_video(tmp_path / "v.mp4", 200, fps=25)
    clips = footage_clips(str(video), network=tiny, count=4)
    expected = tiny.transforms(
        torch.stack([torch.from_numpy(numbered_image(n)) for n in (0, 50, 100, 150)])
    )  # (3, 4, 112, 112)
    difference = (clips[:, :, 0] - expected.transpose(0, 1)).abs().mean(dim=(1, 2, 3))
    assert float(difference.max()) < 8


# What one run does --------------------------------------------------------------------------------


def test_each_work_returns_its_amount(tiny: VideoNetwork, tmp_path: Path) -> None:
    video = str(write_video(tmp_path / "v.mp4", 40, fps=10))
    assert workloads.matmul_work("float32", device=tiny.device, size=100)() == pytest.approx(2e-3)
    assert workloads.network_work(tiny, generated_clips(tiny, count=3), batch=2)() == 3
    assert workloads.decode_work(video, network=tiny)() == 3
    assert workloads.end_to_end_work(video, network=tiny)() == 3
    assert workloads.clip_seconds(video, clip_len=16) == pytest.approx(1.6)


def test_a_part_of_a_video_is_the_same_for_decoding_and_everything(
    tiny: VideoNetwork, tmp_path: Path
) -> None:
    # The clock of this video starts at 8 s.
    pts = [8000 + 100 * i for i in range(40)]
    video = str(write_video(tmp_path / "v.mp4", 40, pts=pts, container_format="mpegts"))
    end = workloads.end_after(video, seconds=1.6)
    assert workloads.decode_work(video, network=tiny, end=end)() == 1
    assert len(extract_features(video, model=tiny, end=end)) == 1


# Forms --------------------------------------------------------------------------------------------


def test_every_known_form_is_served_or_refused_with_a_reason(
    tiny: VideoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "KNOWN_FORMS", TORCH_FORMS)
    served, refused = forms.prepare_forms(tiny)
    assert [form.way for form in served] == ["float32 torch"]
    assert served[0].network.inference_precision == "float32"
    assert served[0].prepare_seconds >= 0
    assert "float16 torch" in refused
    assert "on a GPU" in refused["float16 torch"]


def test_bfloat16_that_only_slows_down_is_not_measured(
    tiny: VideoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "native_bfloat16", lambda device: False)
    monkeypatch.setattr(workloads, "native_bfloat16", lambda device: False)
    with pytest.raises(ValueError, match="no instructions for bfloat16"):
        forms.make_form(tiny, precision="bfloat16", engine="torch")
    assert list(workloads.matmul_works(tiny.device, size=2)) == [("matmul", "float32")]


def test_random_weights_are_the_same_in_every_process() -> None:
    a, b = (load_plain("resnet10", random_weights=True, device="cpu") for _ in range(2))
    for one, other in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(one, other)
        assert not one.requires_grad
    assert not a.training


# One model, all of it -----------------------------------------------------------------------------


def test_the_short_benchmark_measures_what_it_says(
    tiny: VideoNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(forms, "KNOWN_FORMS", TORCH_FORMS)
    monkeypatch.setattr(workloads, "MATMUL_SIZE", 64)
    video = write_video(tmp_path / "v.mp4", 40, fps=10)
    measured = one_model.measure_model(tiny, video=str(video), accuracy=True, repeats=1)
    found = Record.from_json(measured.to_json())
    network = [f.way for f in found.figures if f.what == "network"]
    assert network == [one_model.PLAIN, "float32 torch"]
    assert found.get("decode", video="v.mp4") is not None
    assert found.get("end to end", way="float32 torch", video="v.mp4", unit="clips/s") is not None
    for stage in tiny.stage_names:
        error = found.get(f"error {stage}, worst", way="float32 torch", video="v.mp4")
        assert error is not None
        assert error.value < 1e-5
    assert found.recommendation == "float32 torch"
    assert set(found.not_served) == {"float16 torch"}
    assert found.setup["video"] == "v.mp4"
    assert vars(found) == {**vars(measured), "date": "", "commit": None}
