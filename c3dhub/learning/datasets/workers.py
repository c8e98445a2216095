"""Tasks shared among processes, which hand their results back in order.

Each process has a pipe of its own. Where nobody takes the results the pipes fill up and the
processes wait, so that memory stays bounded; where a process dies its pipe ends, and that is an
error here; where this process dies the others meet the end of theirs and leave.

Why not torch's DataLoader: its processes write into one pipe, so that one which is killed in the
middle of a clip leaves the others, and this process, waiting for ever. With tensors, which it puts
into shared memory, that would be rare, but containers have little of it (64 MB in Docker).
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

import torch

from ...base.background import ahead
from ...base.errors import C3DHubError

Task = TypeVar("Task")
Result = TypeVar("Result")

# Results that each process prepares before they are asked for.
_RESULTS_READY = 8


def stream(
    tasks: Sequence[Task], run: Callable[[Task], Result], *, workers: int
) -> Generator[Result, None, None]:
    """Yield what ``run`` gives for each task, in their order.

    Parameters
    ----------
    tasks: values that can be pickled; ``str(task)`` names one in messages.
    run: is pickled, and so are its results.
    workers: processes; 0 runs everything in this one.

    An error that ``run`` raises is raised here. Raises C3DHubError where a process dies.
    """
    if workers == 0:
        yield from map(run, tasks)
        return
    pool: list[_Worker[Task, Result]] = []
    try:
        pool.extend(_Worker() for _ in range(workers))
        for number, worker in enumerate(pool):
            worker.begin(run, tasks[number::workers])
        for number, task in enumerate(tasks):
            yield pool[number % workers].result(task)
    finally:
        for worker in pool:
            worker.stop()


class _Worker(Generic[Task, Result]):
    """A process and the pipe to it."""

    def __init__(self) -> None:
        context = _context()
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs,), name="c3dhub-reader", daemon=True
        )
        self._process.start()
        theirs.close()  # else the pipe would not end when the process does

    def begin(self, run: Callable[[Task], Result], tasks: Sequence[Task]) -> None:
        """Hand over everything that there is to do."""
        # A process that died shows when its results are asked for.
        with suppress(OSError):
            self._pipe.send((run, tasks))

    def result(self, task: Task) -> Result:
        """Return the next result, which is that of ``task``."""
        try:
            result, error = self._pipe.recv()
        except (EOFError, OSError) as ended:  # between two results, or in the middle of one
            raise C3DHubError(self._obituary(task)) from ended
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def _obituary(self, task: Task) -> str:
        self._process.join(timeout=5)
        code = self._process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return (
            f"a process that reads videos {how}, at {task} or soon after it. Where memory is short "
            "use fewer workers; workers=0 reads in the main process. A script that starts workers "
            'must do so under `if __name__ == "__main__":`'
        )

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _context() -> Any:
    # Not fork: a child of a process in which FFmpeg's or torch's threads have run may hang. The
    # server that forks here has run none, and has imported once what each reader needs.
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["c3dhub.learning.datasets.training_clips"])
    return context


def _work(pipe: Connection) -> None:
    """Be one of the processes, until all is done or the main one closes the pipe or ends."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides what it means
    with suppress(EOFError, OSError):
        run, tasks = pipe.recv()
        with closing(ahead(_answers(run, tasks), depth=_RESULTS_READY)) as answers:
            for answer in answers:
                pipe.send(answer)


def _answers(
    run: Callable[[Task], Result], tasks: Iterable[Task]
) -> Generator[tuple[Result | None, Exception | None], None, None]:
    for task in tasks:
        try:
            yield run(task), None
        except Exception as error:  # noqa: BLE001 - raised again in the main process
            yield None, error
