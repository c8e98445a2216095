"""Work in a thread: order, errors, early stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from c3dhub.base.background import ahead


def test_items_come_in_order_from_another_thread() -> None:
    threads = set()

    def produce() -> Iterator[int]:
        for i in range(20):
            threads.add(threading.current_thread())
            yield i

    assert list(ahead(produce())) == list(range(20))
    assert threading.current_thread() not in threads


def test_an_error_comes_after_the_items_before_it() -> None:
    def produce() -> Iterator[int]:
        yield 1
        raise OSError("broken")

    seen: list[int] = []
    with pytest.raises(OSError, match="broken"):
        seen.extend(ahead(produce()))
    assert seen == [1]
    items = ahead(produce())
    assert next(items) == 1


def test_stopping_early_closes_the_source_in_its_thread() -> None:
    closed = []

    def produce() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.append(threading.current_thread())

    items = ahead(produce(), depth=1)
    assert next(items) == 0
    items.close()
    assert closed
    assert closed[0] is not threading.current_thread()
    assert not any(t.name == "c3dhub-ahead" for t in threading.enumerate())


def test_no_more_than_depth_items_wait() -> None:
    made = []

    def produce() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    items = ahead(produce(), depth=2)
    for expected in range(5):
        assert next(items) == expected
        # Those taken, two waiting, one in the producer's hand.
        assert len(made) <= expected + 1 + 2 + 1
    items.close()
