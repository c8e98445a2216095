"""Real worker processes: in order, with errors, killed, left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from c3dhub.base.errors import C3DHubError, VideoError
from c3dhub.learning.datasets import processes
from c3dhub.learning.datasets.workers import stream


def count_down(task: int) -> Iterator[tuple[int, int]]:
    """Give a few pieces for each task, and none for some."""
    for number in range(task % 4):
        yield task, number


def fail_at_three(task: int) -> Iterator[int]:
    if task == 3:
        raise VideoError("three.mp4", "it is broken")
    yield task


def die_at_three(task: int) -> Iterator[int]:
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    yield task


def leave_at_three(task: int) -> Iterator[int]:
    if task == 3:
        os._exit(7)
    yield task


def tell_pid(task: int) -> Iterator[int]:
    while True:
        yield os.getpid()


def end_of_pipe(task: int) -> Iterator[int]:
    raise ConnectionResetError(f"task {task}")
    yield task


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_pieces_come_in_the_order_of_their_tasks(workers: int) -> None:
    expected = [piece for task in range(50) for piece in count_down(task)]
    assert list(stream(range(50), count_down, workers=workers)) == expected
    assert list(stream([], count_down, workers=workers)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_after_the_pieces_before_it(workers: int) -> None:
    pieces = stream(range(9), fail_at_three, workers=workers)
    assert [next(pieces) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(VideoError, match=r"three\.mp4: it is broken"):
        next(pieces)
    with pytest.raises(ConnectionResetError, match="task 5"):
        next(stream([5], end_of_pipe, workers=workers))


def test_a_process_that_is_killed_is_a_clear_error() -> None:
    with pytest.raises(C3DHubError, match=r"was killed by signal 9, at \d or soon .*fewer"):
        list(stream([1, 3, 2], die_at_three, workers=1))
    with pytest.raises(C3DHubError, match="ended with exit code 7"):
        list(stream(range(9), leave_at_three, workers=2))


def test_nothing_is_left_running_when_the_reader_stops() -> None:
    before = set(multiprocessing.active_children())
    with closing(stream(range(5), tell_pid, workers=2)) as pieces:
        assert next(pieces) != os.getpid()
        assert len(set(multiprocessing.active_children()) - before) == 2
    assert set(multiprocessing.active_children()) <= before


def test_where_there_is_no_fork_server_processes_are_spawned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert processes._context().get_start_method() == "spawn"
    assert list(stream([3], count_down, workers=1)) == [(3, 0), (3, 1), (3, 2)]


def test_what_a_process_answers() -> None:
    ours, theirs = multiprocessing.Pipe()
    for task in (2, 3, 4):
        ours.send(task)
    answers = processes._answers(theirs, fail_at_three)
    assert [next(answers) for _ in range(2)] == [("piece", 2), ("end", None)]
    kind, error = next(answers)
    assert (kind, str(error)) == ("error", "three.mp4: it is broken")
    assert next(answers) == ("piece", 4)
    ours.close()
    assert list(answers) == [("end", None)]


SCRIPT = """
import sys, time
from test_datasets_processes import tell_pid
from c3dhub.learning.datasets.workers import stream

if __name__ == "__main__":
    pieces = stream(range(2), tell_pid, workers=1)
    print(next(pieces), flush=True)
    time.sleep(3600)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="asks /proc who is alive")
def test_workers_leave_when_the_main_process_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(SCRIPT)
    paths = [str(Path(__file__).parent), str(Path(processes.__file__).parents[2])]
    main = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    with main:
        assert main.stdout is not None
        worker = Path("/proc") / main.stdout.readline().decode().strip()
        assert worker.exists()
        main.kill()
    while worker.exists() and ") Z " not in (worker / "stat").read_text():
        time.sleep(0.05)
