"""Seconds from timestamps: which clock, what is repaired, and that time never runs backwards."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c3dhub.video.timestamps import ClockName, Stamp, StreamTime, choose_clock, with_seconds

Timed = tuple[list[float], list[float], list[str]]

TICKS = StreamTime(time_base=Fraction(1, 1000), start_time=0, rate=Fraction(10))


def timed(stamps: Sequence[Stamp], time: StreamTime = TICKS) -> Timed:
    """Return all seconds, all end_seconds and the warnings."""
    warnings: list[str] = []
    frames = ((stamp, index) for index, stamp in enumerate(stamps))
    rows = list(with_seconds(frames, time, warn=warnings.append))
    assert [index for index, _, _ in rows] == list(range(len(stamps)))
    return [row[1] for row in rows], [row[2] for row in rows], warnings


def by_pts(*pts: int | None) -> list[Stamp]:
    return [Stamp(pts=value) for value in pts]


def test_pts_are_the_clock_and_the_first_one_is_not_shifted() -> None:
    seconds, ends, warnings = timed(by_pts(8333, 8433, 8533))
    assert seconds == [8.333, 8.433, 8.533]
    assert ends == [8.433, 8.533, 8.533 + 0.1]
    assert warnings == []


def test_negative_pts_are_kept() -> None:
    assert timed(by_pts(-100, 0, 100))[0] == [-0.1, 0.0, 0.1]


def test_variable_intervals_are_kept() -> None:
    assert timed(by_pts(0, 5, 900, 901))[1] == [0.005, 0.9, 0.901, 0.901 + 0.1]


def test_frames_at_25_per_second_are_at_exactly_i_over_25() -> None:
    time = StreamTime(time_base=Fraction(1, 25), rate=Fraction(25))
    assert timed(by_pts(*range(500)), time)[0] == [i / 25 for i in range(500)]


def test_disordered_pts_give_way_to_dts_counted_from_the_start_of_the_stream() -> None:
    pairs = [(1, 3), (2, 4), (4, 5), (3, 6), (5, None)]
    stamps = [Stamp(pts, dts) for pts, dts in pairs]
    time = StreamTime(time_base=Fraction(1, 25), start_time=50, rate=Fraction(25))
    seconds, _, warnings = timed(stamps, time)
    assert seconds == pytest.approx([2.0, 2.04, 2.08, 2.12, 2.16])
    assert warnings == []


def test_dts_start_at_zero_where_the_stream_does_not_say() -> None:
    stamps = [Stamp(None, 7), Stamp(None, 8)]
    assert timed(stamps, StreamTime(time_base=Fraction(1, 10)))[0] == [0.0, 0.1]


@pytest.mark.parametrize(
    ("rate", "interval", "said"),
    [(Fraction(50), 0.02, "the header's rate of 50"), (None, 0.04, "an assumed rate of 25")],
)
def test_without_timestamps_frames_are_counted_with_a_warning(
    rate: Fraction | None, interval: float, said: str
) -> None:
    stamps = [Stamp()] * 20
    seconds, ends, warnings = timed(stamps, StreamTime(time_base=Fraction(1, 1000), rate=rate))
    assert seconds == pytest.approx([interval * i for i in range(20)])
    assert ends[-1] == pytest.approx(20 * interval)
    assert len(warnings) == 1
    assert said in warnings[0]


def test_a_chosen_rate_is_no_reason_for_a_warning() -> None:
    time = StreamTime(rate=Fraction(10), rate_is_chosen=True)
    assert timed([Stamp()] * 3, time) == ([0.0, 0.1, 0.2], [0.1, 0.2, pytest.approx(0.3)], [])


@pytest.mark.parametrize(
    ("pairs", "dts_first", "clock"),
    [
        ([(0, 5), (1, 6)], False, "pts"),
        ([(0, 5), (1, 6)], True, "dts"),
        ([(0, 5), (0, 6)], False, "dts"),
        ([(0, 5), (1, 5)], True, "pts"),
        ([(None, 5), (1, 6)], False, "dts"),
        ([(1, None), (0, None)], False, "frame rate"),
        ([(None, None)], False, "frame rate"),
        ([(3, None)], True, "pts"),
        ([], False, "frame rate"),
    ],
)
def test_the_first_frames_choose_the_clock(
    pairs: list[tuple[int | None, int | None]], dts_first: bool, clock: ClockName
) -> None:
    assert choose_clock([Stamp(*pair) for pair in pairs], dts_first=dts_first) == clock


def test_only_eight_frames_are_looked_at_before_the_first_is_given() -> None:
    taken = []

    def endless() -> itertools.count[int]:
        return itertools.count()

    frames = ((Stamp(pts=taken.append(i) or i), i) for i in endless())  # type: ignore[func-returns-value]
    rows = with_seconds(frames, TICKS, warn=print)
    assert next(rows)[0] == 0
    assert len(taken) == 8
    for _ in range(20):
        number = next(rows)[0]
    assert len(taken) == number + 2  # the frame given and the one after, which says where it ends


def test_each_kind_of_repair_is_counted_and_reported_once() -> None:
    good = list(range(0, 800, 100))
    seconds, _, warnings = timed(by_pts(*good, None, None, 850, 700, 1000, 1000, 1000, 1100))
    assert seconds[8:] == pytest.approx([0.8, 0.9, 0.9, 0.9, 1.0, 1.0, 1.0, 1.1])
    assert len(warnings) == 3
    assert "2 frames without a timestamp" in warnings[0]
    assert "2 frames with a timestamp before" in warnings[1]
    assert "2 frames with the same timestamp" in warnings[2]


def test_a_clock_that_is_set_anew_goes_on_instead_of_standing_still() -> None:
    seconds, _, warnings = timed(by_pts(*range(60000, 61000, 100), 0, 100, 200))
    assert seconds[-3:] == pytest.approx([61.0, 61.1, 61.2])
    assert len(warnings) == 1
    assert "jumped back 1 time" in warnings[0]


def test_missing_dts_at_the_end_are_no_reason_for_a_warning() -> None:
    stamps = [*(Stamp(None, i) for i in range(9)), Stamp(), Stamp()]
    seconds, _, warnings = timed(stamps, StreamTime(time_base=Fraction(1, 10), rate=Fraction(10)))
    assert seconds == pytest.approx([i / 10 for i in range(11)])
    assert warnings == []


@pytest.mark.parametrize(
    ("duration", "rate", "expected"),
    [(40, Fraction(10), 0.04), (None, Fraction(10), 0.1), (0, None, 0.3), (-5, None, 0.3)],
)
def test_the_last_frame_lasts_its_duration_else_an_interval(
    duration: int | None, rate: Fraction | None, expected: float
) -> None:
    stamps = [Stamp(0), Stamp(300, duration=duration)]
    ends = timed(stamps, StreamTime(time_base=Fraction(1, 1000), rate=rate))[1]
    assert ends[-1] == pytest.approx(0.3 + expected)


def test_warnings_come_even_when_the_reader_stops_early() -> None:
    warnings: list[str] = []
    rows = with_seconds(((Stamp(), i) for i in range(50)), TICKS, warn=warnings.append)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert len(warnings) == 1


ticks = st.none() | st.integers(-(2**62), 2**62) | st.integers(-50, 50)
stamps = st.builds(Stamp, pts=ticks, dts=ticks, duration=ticks)
rates = st.none() | st.fractions(min_value="1/1000", max_value=1000, max_denominator=1001)
times = st.builds(
    StreamTime,
    time_base=st.none() | st.fractions(min_value="1/90000", max_value=1, max_denominator=90000),
    start_time=st.none() | st.integers(-(2**40), 2**40),
    rate=rates,
    dts_first=st.booleans(),
)


@given(st.lists(stamps, max_size=30), times)
def test_time_never_runs_backwards_whatever_the_timestamps(
    given_stamps: list[Stamp], time: StreamTime
) -> None:
    seconds, ends, _ = timed(given_stamps, time)
    assert all(map(math.isfinite, [*seconds, *ends]))
    assert seconds == sorted(seconds)
    assert ends[:-1] == seconds[1:]
    assert not ends or ends[-1] >= seconds[-1]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30, unique=True).map(sorted))
def test_increasing_pts_come_out_unchanged_and_without_a_warning(pts: list[int]) -> None:
    seconds, _, warnings = timed(by_pts(*pts))
    assert seconds == [value / 1000 for value in pts]
    assert warnings == []
