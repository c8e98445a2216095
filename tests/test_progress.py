from __future__ import annotations

import io

import pytest

from c3dhub.base.progress import Progress, human_bytes, human_seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (184_200_000, "184.2 MB"), (2.5e9, "2.5 GB")],
)
def test_bytes_are_written_as_people_do(count: float, text: str) -> None:
    assert human_bytes(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(7, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_durations_are_written_as_on_a_clock(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


def test_line_shows_share_amount_rate_and_time_left() -> None:
    clock = Clock()
    line = Progress(200_000_000, label="tiny", stream=io.StringIO(), clock=clock)
    clock.now = 10.0
    line.update(50_000_000)
    assert str(line) == "tiny:  25%  50.0 MB of 200.0 MB  5.0 MB/s  0:30 left"


def test_what_an_earlier_download_brought_does_not_count_for_the_rate() -> None:
    clock = Clock()
    line = Progress(100, unit="clips", done=50, stream=io.StringIO(), clock=clock)
    clock.now = 5.0
    line.update(10)
    assert str(line) == " 60%  60 clips of 100 clips  2.0 clips/s  0:20 left"


def test_unknown_total_shows_amount_and_rate_alone() -> None:
    clock = Clock()
    line = Progress(None, label="x", stream=io.StringIO(), clock=clock)
    clock.now = 1.0
    line.update(2000)
    assert str(line) == "x: 2.0 kB  2.0 kB/s"


def test_nothing_is_written_where_nobody_watches() -> None:
    stream = io.StringIO()
    with Progress(10, stream=stream) as line:
        line.update(10)
    assert stream.getvalue() == ""


def test_terminal_line_is_redrawn_in_place_and_ended_once() -> None:
    clock, stream = Clock(), Terminal()
    with Progress(10_000, label="a", stream=stream, clock=clock) as line:
        clock.now = 1.0
        line.update(100)
        line.update(100)  # too soon after the last: not drawn
        line.close()
    assert stream.getvalue().count("\r") == 2
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue().count("\n") == 1


def test_log_file_gets_whole_lines_now_and_then() -> None:
    clock, stream = Clock(), io.StringIO()
    line = Progress(100, stream=stream, enabled=True, clock=clock)
    for second in range(1, 8):
        clock.now = float(second)
        line.update(10)
    assert stream.getvalue().splitlines() == [" 50%  50 B of 100 B  10 B/s  0:05 left"]
    line.close()
    assert len(stream.getvalue().splitlines()) == 2
    assert "\r" not in stream.getvalue()


def test_disabled_on_a_terminal_writes_nothing() -> None:
    stream = Terminal()
    with Progress(1, stream=stream, enabled=False) as line:
        line.update(1)
    assert stream.getvalue() == ""


def test_restart_counts_from_the_new_beginning() -> None:
    clock = Clock()
    line = Progress(None, stream=io.StringIO(), clock=clock)
    line.update(70)
    clock.now = 3.0
    line.restart(done=0, total=100)
    clock.now = 4.0
    line.update(25)
    assert str(line) == " 25%  25 B of 100 B  25 B/s  0:03 left"
