"""Clip arithmetic: the worked examples of the papers' code, and laws that hold for every rule."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c3dhub.clips.rule import ZERO_FRAME, ClipPlanner, ClipRule, ClipWindow, _window
from c3dhub.clips.sampling import SampleClock

rules = st.builds(
    ClipRule,
    clip_len=st.integers(1, 9),
    clip_stride=st.none() | st.integers(1, 14),
    frame_stride=st.integers(1, 4),
    tail=st.sampled_from(["loop", "repeat_last", "zero", "drop"]),
    align=st.sampled_from(["start", "center"]),
) | st.builds(
    ClipRule,
    clip_len=st.integers(1, 9),
    clip_stride=st.none() | st.integers(1, 14),
    frame_stride=st.integers(1, 4),
    preset=st.just("paper2018"),
)


def windows(rule: ClipRule, n_samples: int) -> list[ClipWindow]:
    """Return the clips of a video of ``n_samples`` samples, in order: the rule, word for word.

    ``ClipPlanner`` must give the same clips while ``n_samples`` is still unknown.
    """
    if rule.preset == "paper2018":
        anchors = range(0, max(n_samples - rule.span, 0), rule.stride)
        return [_window(rule, anchor, n_samples) for anchor in anchors]
    clips = []
    for anchor in range(0, n_samples, rule.stride):
        clips.append(_window(rule, anchor, n_samples))
        if rule.align == "start" and clips[-1].n_valid < rule.clip_len:
            break
    if rule.tail == "drop" and clips:
        whole = [clip for clip in clips if clip.n_valid == rule.clip_len]
        return whole or [max(clips, key=lambda clip: clip.n_valid)]
    return clips


def starts(rule: ClipRule, n_samples: int) -> list[int]:
    return [clip.positions[0] for clip in windows(rule, n_samples)]


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [(0, []), (16, []), (17, [0]), (32, [0]), (33, [0, 16]), (48, [0, 16]), (49, [0, 16, 32])],
)
def test_paper2018_starts_clips_while_start_is_below_n_minus_l(
    n_frames: int, expected: list[int]
) -> None:
    assert starts(ClipRule(preset="paper2018"), n_frames) == expected


@pytest.mark.parametrize(
    ("n_frames", "n_clips", "last_valid"), [(1, 1, 1), (16, 1, 16), (17, 2, 1), (420, 27, 4)]
)
def test_sliding_completes_the_last_clip(n_frames: int, n_clips: int, last_valid: int) -> None:
    clips = windows(ClipRule(), n_frames)
    assert len(clips) == n_clips
    assert clips[-1].n_valid == last_valid


def test_loop_repeats_the_frames_of_the_clip_from_its_start() -> None:
    (clip,) = windows(ClipRule(), 10)
    assert clip.positions == (*range(10), *range(6))


def test_overlapping_windows_stop_at_the_first_that_overruns() -> None:
    clips = windows(ClipRule(clip_len=4, clip_stride=2), 7)
    assert [clip.positions for clip in clips] == [(0, 1, 2, 3), (2, 3, 4, 5), (4, 5, 6, 4)]


@pytest.mark.parametrize(
    ("tail", "last"),
    [("loop", (4, 5, 4, 5)), ("repeat_last", (4, 5, 5, 5)), ("zero", (4, 5, -1, -1))],
)
def test_each_tail_completes_a_clip_its_own_way(tail: str, last: tuple[int, ...]) -> None:
    clips = windows(ClipRule(clip_len=4, tail=tail), 6)  # type: ignore[arg-type]
    assert clips == [ClipWindow(0, (0, 1, 2, 3), (0, 1, 2, 3)), ClipWindow(4, last, (4, 5))]


def test_drop_leaves_the_overrunning_clip_out() -> None:
    assert starts(ClipRule(clip_len=4, tail="drop"), 11) == [0, 4]


def test_drop_still_gives_a_short_video_its_one_clip() -> None:
    (clip,) = windows(ClipRule(clip_len=4, tail="drop"), 3)
    assert clip == ClipWindow(0, (0, 1, 2, 0), (0, 1, 2))


def test_frame_stride_spreads_the_frames_of_a_clip() -> None:
    clips = windows(ClipRule(clip_len=3, frame_stride=2), 9)
    assert [clip.positions for clip in clips] == [(0, 2, 4), (6, 8, 6)]


def test_centred_clips_have_their_anchor_in_the_middle_and_wrap_at_the_edges() -> None:
    clips = windows(ClipRule(clip_len=4, clip_stride=3, align="center"), 7)
    assert [clip.positions for clip in clips] == [(0, 1, 0, 1), (1, 2, 3, 4), (4, 5, 6, 4)]
    assert [clip.positions[2] for clip in clips[1:]] == [3, 6]


def test_centred_clips_repeat_the_nearest_edge() -> None:
    rule = ClipRule(clip_len=4, clip_stride=6, align="center", tail="repeat_last")
    assert [clip.positions for clip in windows(rule, 7)] == [(0, 0, 0, 1), (4, 5, 6, 6)]


def test_centred_drop_falls_back_to_the_fullest_clip() -> None:
    rule = ClipRule(clip_len=8, clip_stride=3, align="center", tail="drop")
    (clip,) = windows(rule, 7)
    assert clip.valid == tuple(range(7))


@given(rules, st.integers(0, 80))
def test_the_planner_gives_the_same_clips_without_knowing_the_length(
    rule: ClipRule, n_samples: int
) -> None:
    planner = ClipPlanner(rule)
    kept: set[int] = set()
    clips: list[ClipWindow] = []
    for position in range(n_samples):
        if planner.needs(position):
            kept.add(position)
        for clip in planner.push():
            assert kept.issuperset(clip.valid)
            clips.append(clip)
        kept = {number for number in kept if number >= planner.keep_from}
    for clip in planner.finish():
        assert kept.issuperset(clip.valid)
        clips.append(clip)
    assert clips == windows(rule, n_samples)


@given(rules, st.integers(1, 3000))
def test_the_planner_keeps_a_bounded_number_of_samples(rule: ClipRule, n_samples: int) -> None:
    planner = ClipPlanner(rule)
    for position in range(n_samples):
        planner.push()
        assert position + 1 - planner.keep_from <= rule.span + rule.stride + rule.lead


@given(rules, st.integers(1, 60))
def test_every_clip_is_whole_and_inside_the_video(rule: ClipRule, n_samples: int) -> None:
    for clip in windows(rule, n_samples):
        assert len(clip.positions) == rule.clip_len
        assert 1 <= clip.n_valid <= rule.clip_len
        assert set(clip.positions) - {ZERO_FRAME} <= set(clip.valid)
        assert (ZERO_FRAME in clip.positions) <= (rule.tail == "zero")


@given(rules, st.integers(1, 60))
def test_every_video_gives_a_clip_but_for_the_paper_rule(rule: ClipRule, n_samples: int) -> None:
    assert windows(rule, n_samples) or rule.preset == "paper2018"


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 60))
def test_the_default_stride_covers_every_frame_once(
    clip_len: int, frame_stride: int, n_samples: int
) -> None:
    rule = ClipRule(clip_len=clip_len)
    taken = [position for clip in windows(rule, n_samples) for position in clip.valid]
    assert taken == list(range(n_samples))
    strided = dataclasses.replace(rule, frame_stride=frame_stride)
    taken = [position for clip in windows(strided, n_samples) for position in clip.valid]
    assert len(taken) == len(set(taken))


def ticks(clock: SampleClock, times: list[float], last: float) -> list[tuple[int, float]]:
    ends = [*times[1:], last]
    return [
        (index, round(start, 6))
        for index, (time, end) in enumerate(zip(times, ends, strict=True))
        for start, _ in clock.samples(time, end)
    ]


def test_without_fps_every_frame_is_a_sample() -> None:
    clock = SampleClock(ClipRule())
    assert clock.samples(1.0, 1.04) == [(1.0, 1.04)]


def test_fps_takes_the_nearest_earlier_frame() -> None:
    clock = SampleClock(ClipRule(fps=2.0))
    taken = ticks(clock, [0.0, 0.4, 0.8, 1.2, 2.1], 2.2)
    assert taken == [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5), (3, 2.0)]


def test_fps_of_the_video_itself_takes_each_frame_once_in_spite_of_rounding() -> None:
    times = [round(i / 30, 3) for i in range(90)]
    taken = ticks(SampleClock(ClipRule(fps=30.0)), times, 3.0)
    assert [index for index, _ in taken] == list(range(90))


def test_start_and_end_are_half_open() -> None:
    clock = SampleClock(ClipRule(start=0.1, end=0.3))
    taken = ticks(clock, [0.0, 0.1, 0.2, 0.3, 0.4], 0.5)
    assert [index for index, _ in taken] == [1, 2]
    assert clock.is_over(0.3)
    assert not clock.is_over(0.29)


def test_fps_counts_from_the_first_frame_after_start_and_stops_before_end() -> None:
    clock = SampleClock(ClipRule(start=0.25, end=0.9, fps=4.0))
    taken = ticks(clock, [0.0, 0.3, 0.6], 2.0)
    assert taken == [(1, 0.3), (1, 0.55), (2, 0.8)]


@given(
    st.floats(1, 60),
    st.lists(st.floats(0.002, 0.5), min_size=1, max_size=40),
    st.floats(-5, 5),
)
def test_samples_are_regular_and_never_look_ahead(
    fps: float, durations: list[float], origin: float
) -> None:
    clock = SampleClock(ClipRule(fps=fps))
    time, seen = origin, []
    for duration in durations:
        for start, end in clock.samples(time, time + duration):
            assert time - 0.00051 <= start < time + duration
            assert end > start
            seen.append(start)
        time += duration
    assert seen == pytest.approx([origin + j / fps for j in range(len(seen))])
    assert len(seen) == pytest.approx((time - origin) * fps, abs=1.1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"clip_len": 0}, ValueError, "clip_len is 0; it must be at least 1"),
        ({"clip_len": 16.0}, TypeError, "clip_len is 16.0; it must be a whole number"),
        ({"clip_len": None}, TypeError, "clip_len is None"),
        ({"clip_stride": True}, TypeError, "clip_stride is True"),
        ({"frame_stride": -2}, ValueError, "frame_stride is -2"),
        ({"fps": 0}, ValueError, "fps is 0; it must be a finite number above 0"),
        ({"fps": float("nan")}, ValueError, "fps is nan"),
        ({"start": "1:00"}, TypeError, "start is '1:00'"),
        ({"start": 2.0, "end": 2.0}, ValueError, "end must lie after start"),
        ({"tail": "pad"}, ValueError, "tail is 'pad'; it must be one of loop, repeat_last"),
        ({"align": "centre"}, ValueError, "align is 'centre'"),
        ({"preset": "paper2018", "tail": "zero"}, ValueError, "contradicts tail='zero'"),
        ({"preset": "paper"}, ValueError, "preset is 'paper'"),
    ],
)
def test_bad_options_name_value_rule_and_remedy(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message.replace("(", r"\(")):
        ClipRule(**options)  # type: ignore[arg-type]


def test_to_dict_fills_in_the_default_stride() -> None:
    assert ClipRule(clip_len=8, frame_stride=2).to_dict()["clip_stride"] == 16
