"""Real worker processes: in order, with errors, killed, left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import c3dhub
from c3dhub.base.errors import C3DHubError, VideoError
from c3dhub.learning.datasets import workers
from c3dhub.learning.datasets.workers import stream


def double(task: int) -> tuple[int, int]:
    return task, 2 * task


def fail_at_three(task: int) -> int:
    if task == 3:
        raise VideoError("three.mp4", "it is broken")
    return task


def die_at_three(task: int) -> int:
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def leave_at_three(task: int) -> int:
    if task == 3:
        os._exit(7)
    return task


def tell_pid(task: int) -> int:
    return os.getpid()


def end_of_pipe(task: int) -> int:
    raise ConnectionResetError(f"task {task}")


def large(task: int) -> bytes:
    """Return more than a pipe holds."""
    return bytes([task]) * 2**20


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_their_tasks(workers: int) -> None:
    expected = [double(task) for task in range(50)]
    assert list(stream(range(50), double, workers=workers)) == expected
    assert list(stream([], double, workers=workers)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_after_the_results_before_it(workers: int) -> None:
    results = stream(range(9), fail_at_three, workers=workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(VideoError, match=r"three\.mp4: it is broken"):
        next(results)
    with pytest.raises(ConnectionResetError, match="task 5"):
        next(stream([5], end_of_pipe, workers=workers))


def test_a_process_that_is_killed_is_a_clear_error() -> None:
    with pytest.raises(C3DHubError, match=r"was killed by signal 9, at \d or soon .*fewer"):
        list(stream([1, 3, 2], die_at_three, workers=1))
    with pytest.raises(C3DHubError, match="ended with exit code 7"):
        list(stream(range(9), leave_at_three, workers=2))


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_is_killed_while_it_hands_over_a_result(victim: int) -> None:
    before = set(multiprocessing.active_children())
    with closing(stream(range(100), large, workers=2)) as results:
        assert [next(results) for _ in range(4)] == [large(task) for task in range(4)]
        pids = sorted(p.pid or 0 for p in set(multiprocessing.active_children()) - before)
        os.kill(pids[victim], signal.SIGKILL)
        with pytest.raises(C3DHubError, match="was killed by signal 9"):
            list(results)


def test_nothing_is_left_running_when_the_reader_stops() -> None:
    before = set(multiprocessing.active_children())
    with closing(stream(range(10**5), tell_pid, workers=2)) as results:
        assert next(results) != os.getpid()
        assert len(set(multiprocessing.active_children()) - before) == 2
    assert set(multiprocessing.active_children()) <= before


def test_where_there_is_no_fork_server_processes_are_spawned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert workers._context().get_start_method() == "spawn"
    assert list(stream([3], double, workers=1)) == [(3, 6)]


def test_what_a_process_answers() -> None:
    first, second, third = workers._answers(fail_at_three, (2, 3, 4))
    assert (first, third) == ((2, None), (4, None))
    assert second[0] is None
    assert isinstance(second[1], VideoError)


UNGUARDED = """
from test_datasets_processes import double
from c3dhub.learning.datasets.workers import stream

print(list(stream([str(number) for number in range(10**5)], double, workers=1)))
"""


def test_a_script_that_starts_processes_at_once_is_told_how_not_to(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(_script(tmp_path, UNGUARDED))],
        capture_output=True,
        text=True,
        env=_environment(),
    )
    assert done.returncode != 0
    assert 'must do so under `if __name__ == "__main__":`' in done.stderr


SCRIPT = """
import sys, time
from test_datasets_processes import tell_pid
from c3dhub.learning.datasets.workers import stream

if __name__ == "__main__":
    results = stream(range(10**5), tell_pid, workers=1)
    print(next(results), flush=True)
    time.sleep(3600)
"""


def _script(folder: Path, text: str) -> Path:
    path = folder / "main.py"
    path.write_text(text)
    return path


def _environment() -> dict[str, str]:
    paths = [str(Path(__file__).parent), str(Path(c3dhub.__file__).parents[1])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="asks /proc who is alive")
def test_workers_leave_when_the_main_process_is_killed(tmp_path: Path) -> None:
    main = subprocess.Popen(
        [sys.executable, str(_script(tmp_path, SCRIPT))],
        stdout=subprocess.PIPE,
        env=_environment(),
    )
    with main:
        assert main.stdout is not None
        worker = Path("/proc") / main.stdout.readline().decode().strip()
        assert worker.exists()
        main.kill()
    while worker.exists() and ") Z " not in (worker / "stat").read_text():
        time.sleep(0.05)
