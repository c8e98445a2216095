"""Interleaved timing: what is compared runs in turn, so that drift hits all of it alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Work = Callable[[], float]
"""Does a piece of work and returns its amount: clips, GFLOP, videos."""

Key = tuple[str, str]
"""(what, way), as figures have them."""


@dataclass(frozen=True)
class Timing:
    """The runs of one candidate.

    Parameters
    ----------
    amounts: work done in each run, in the caller's unit, above 0.
    seconds: what each run took, above 0.

    Example: 8 clips in 2 s and 8 clips in 4 s have a median rate of 3 and a best rate of 4 clips/s.
    """

    amounts: tuple[float, ...]
    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds or len(self.seconds) != len(self.amounts):
            raise ValueError(
                f"amounts is {self.amounts} and seconds {self.seconds}; give both once for each "
                "run, and at least one run"
            )
        if min(*self.seconds, *self.amounts) <= 0:
            raise ValueError(
                f"amounts is {self.amounts} and seconds {self.seconds}; all must be above 0"
            )

    @property
    def rates(self) -> tuple[float, ...]:
        """Amount per second of each run."""
        return tuple(a / s for a, s in zip(self.amounts, self.seconds, strict=True))

    @property
    def rate(self) -> float:
        """The median of the rates: what to expect."""
        return statistics.median(self.rates)

    @property
    def best_rate(self) -> float:
        """The rate of the fastest run: what the machine can do when nobody disturbs it."""
        return max(self.rates)


def interleaved(
    candidates: Mapping[Key, Work],
    *,
    repeats: int,
    warm_up: int = 1,
    most_seconds: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
    say: Callable[[str], None] = lambda text: None,
) -> dict[Key, Timing]:
    """Time every candidate ``repeats`` times: A B C, A B C, ...

    Parameters
    ----------
    candidates: (what, way) -> work, e.g. ("network", "bfloat16 torch").
    repeats: rounds that count, at least 1.
    warm_up: rounds before them that do not count.
    most_seconds: no new round is begun that would probably end later than this; one always counts.
    clock: seconds, for tests.
    say: is told what is about to run.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; it must be at least 1")
    runs: dict[Key, list[tuple[float, float]]] = {key: [] for key in candidates}
    for _ in range(warm_up):
        for key, work in candidates.items():
            say(f"warming up: {' '.join(key)}")
            work()
    start = clock()
    for number in range(repeats):
        if number and (clock() - start) * (number + 1) / number > most_seconds:
            break
        for key, work in candidates.items():
            say(f"round {number + 1} of at most {repeats}: {' '.join(key)}")
            runs[key].append(_timed(work, clock))
    return {key: Timing(*zip(*found, strict=True)) for key, found in runs.items()}


def _timed(work: Work, clock: Callable[[], float]) -> tuple[float, float]:
    start = clock()
    amount = work()
    return amount, clock() - start
