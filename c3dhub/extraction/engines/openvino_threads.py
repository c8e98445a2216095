"""OpenVINO is called in threads of their own where it would change the caller's signal stack."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def away(work: Callable[P, T]) -> Callable[P, T]:
    """Have ``work`` run in a thread of its own while the caller waits.

    When OpenVINO (2026.4) loads its CPU plugin, it gives the calling thread another stack for
    signals (``sigaltstack``), and frees that memory with the plugin. Python's handlers use it: the
    next Ctrl-C, or the end of a child process where that is watched, then kills the process without
    a word. A thread that ends at once takes its signal stack along.
    """

    @functools.wraps(work)
    def waiting(*args: P.args, **options: P.kwargs) -> T:
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(work(*args, **options))
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
                outcome.set_exception(error)

        threading.Thread(target=run, name="c3dhub-openvino", daemon=True).start()
        return outcome.result()

    return waiting
