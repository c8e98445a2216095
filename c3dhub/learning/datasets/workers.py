"""Work shared among processes: each task gives a few pieces, which come back in order.

Every process has two pipes, one for its tasks and one for its pieces. Where nobody takes the pieces
the pipes fill up and the processes wait, so that memory stays bounded; where a process dies its
pipe ends, and that is an error here; where this process dies the others meet the end of theirs and
leave. Pieces travel as copies: shared memory is scarce in containers.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from ...base.background import ahead
from ...base.errors import C3DHubError

Task = TypeVar("Task")
Piece = TypeVar("Piece")

# Pieces that each process prepares before they are asked for, and tasks that it knows of.
_PIECES_READY = 8
_TASKS_KNOWN = 10

_END = "end"
_PIECE = "piece"
_ERROR = "error"


def stream(
    tasks: Iterable[Task], run: Callable[[Task], Iterator[Piece]], *, workers: int
) -> Generator[Piece, None, None]:
    """Yield all pieces of the first task, then those of the second, and so on.

    Parameters
    ----------
    tasks: values that can be pickled; ``str(task)`` names one in messages.
    run: gives the pieces of a task. It is pickled, and so are the pieces.
    workers: processes; 0 runs everything in this one.

    An error that ``run`` raises is raised here. Raises C3DHubError where a process dies.
    """
    if workers == 0:
        for task in tasks:
            yield from run(task)
        return
    pool: list[_Worker[Task, Piece]] = []
    try:
        pool.extend(_Worker(run) for _ in range(workers))
        yield from _in_order(iter(tasks), pool)
    finally:
        for worker in pool:
            worker.stop()


def _in_order(
    tasks: Iterator[Task], pool: list[_Worker[Task, Piece]]
) -> Generator[Piece, None, None]:
    under_way: deque[tuple[_Worker[Task, Piece], Task]] = deque()

    def give_next(worker: _Worker[Task, Piece]) -> None:
        for task in tasks:
            worker.give(task)
            under_way.append((worker, task))
            return

    for _ in range(_TASKS_KNOWN):
        for worker in pool:
            give_next(worker)
    while under_way:
        worker, task = under_way.popleft()
        yield from worker.pieces(task)
        give_next(worker)


class _Worker(Generic[Task, Piece]):
    """A process and the two pipes to it."""

    def __init__(self, run: Callable[[Task], Iterator[Piece]]) -> None:
        context = _context()
        their_tasks, self._tasks = context.Pipe(duplex=False)
        self._pieces, their_pieces = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_work, args=(their_tasks, their_pieces, run), name="c3dhub-reader", daemon=True
        )
        self._process.start()
        # Else the pipes would not end when the process does.
        their_tasks.close()
        their_pieces.close()

    def give(self, task: Task) -> None:
        """Hand over a task, to be done after those before."""
        # A process that died shows when its pieces are asked for.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._tasks.send(task)

    def pieces(self, task: Task) -> Iterator[Piece]:
        """Yield the pieces of the oldest task that they were not taken of, which is ``task``."""
        while True:
            try:
                kind, value = self._pieces.recv()
            except (EOFError, ConnectionResetError) as error:
                raise C3DHubError(self._obituary(task)) from error
            if kind == _END:
                return
            if kind == _ERROR:
                raise value
            yield value

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
        self._tasks.close()
        self._pieces.close()
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


def _work(tasks: Connection, pieces: Connection, run: Callable[[Task], Iterator[Piece]]) -> None:
    """Be one of the processes, until the main one closes the pipes or ends."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides what it means
    with (
        suppress(BrokenPipeError, ConnectionResetError),
        closing(ahead(_answers(tasks, run), depth=_PIECES_READY)) as answers,
    ):
        for answer in answers:
            pieces.send(answer)


def _answers(
    tasks: Connection, run: Callable[[Task], Iterator[Piece]]
) -> Generator[tuple[str, Any], None, None]:
    while True:
        try:
            task = tasks.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            for piece in run(task):
                yield _PIECE, piece
            yield _END, None
        except Exception as error:  # noqa: BLE001 - raised again in the main process
            yield _ERROR, error
