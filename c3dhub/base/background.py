"""Work ahead in a thread: decoding goes on while the network computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], *, depth: int = 2) -> Generator[T, None, None]:
    """Yield ``items`` in order while a thread computes up to ``depth`` of them in advance.

    An error in the thread is raised here, after the items that came before it. When the caller
    stops early the thread stops too, and ``items`` is closed in the thread that ran it.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def offer(entry: tuple[T | None, BaseException | None, bool]) -> None:
        # A plain put would wait for ever once nobody reads any more.
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.05)
                return
            except queue.Full:
                continue

    def work() -> None:
        error: BaseException | None = None
        iterator = iter(items)
        try:
            for item in iterator:
                offer((item, None, False))
                if stopped.is_set():
                    break
        except BaseException as caught:  # noqa: BLE001 - handed to the caller, whatever it is
            error = caught
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
            offer((None, error, True))

    worker = threading.Thread(target=work, name="c3dhub-ahead", daemon=True)
    worker.start()
    try:
        while True:
            item, error, last = ready.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        worker.join()
