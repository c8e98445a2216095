"""One line on stderr that says how far a long job is and how long it still takes.

Why not tqdm: whole lines in log files take a printer and a ``close`` of one's own, it starts a
thread and a lock between processes, and it takes several times as long to import.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Literal, TextIO

Unit = Literal["B", "clips", "videos"]

_TTY_SECONDS = 0.1
# A log file gets whole lines, so fewer of them.
_LOG_SECONDS = 5.0
_STEPS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def human_bytes(count: float) -> str:
    """Return ``count`` bytes as people write them: ``"17 B"``, ``"1.5 MB"`` (powers of 1000)."""
    for size, name in _STEPS:
        if count >= size:
            return f"{count / size:.1f} {name}"
    return f"{count:.0f} B"


def human_seconds(seconds: float) -> str:
    """Return a duration as ``"0:07"``, ``"12:34"`` or ``"1:02:03"``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class Progress:
    """A progress line: share done, amount, rate, time left. Use it in a ``with`` block.

    Parameters
    ----------
    total : int or None
        How much there is to do; None where that is unknown (no share and no time left are shown).
    unit : "B", "clips" or "videos", default "B"
        What is counted. Bytes are written as kB, MB, GB.
    label : str
        What stands at the start of the line.
    done : int, default 0
        How much was done before, e.g. by an interrupted download; it does not count for the rate.
    stream : text file, default ``sys.stderr``
    enabled : bool, default None
        None shows the line only where ``stream`` is a terminal. On anything else whole lines are
        written, one each 5 seconds. False writes nothing.
    clock : callable, default ``time.monotonic``

    Example: ``resnet50_kinetics:  45%  82.9 MB of 184.2 MB  12.3 MB/s  0:08 left``
    """

    def __init__(
        self,
        total: int | None,
        *,
        unit: Unit = "B",
        label: str = "",
        done: int = 0,
        stream: TextIO | None = None,
        enabled: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unit = unit
        self.label = label
        self._stream = sys.stderr if stream is None else stream
        self._tty = self._stream is not None and self._stream.isatty()
        self.enabled = self._tty if enabled is None else enabled and self._stream is not None
        self._clock = clock
        self._shown_at = clock()
        self._width = 0
        self.restart(done=done, total=total)

    def restart(self, *, done: int, total: int | None) -> None:
        """Begin anew from ``done``, as a download does whose server cannot resume."""
        self.done, self.total = done, total
        self._started_at, self._started_with = self._clock(), done

    def update(self, count: int) -> None:
        """Say that ``count`` more (bytes, clips) are done."""
        self.done += count
        now = self._clock()
        if self.enabled and now - self._shown_at >= (_TTY_SECONDS if self._tty else _LOG_SECONDS):
            self._shown_at = now
            self._show()

    def close(self) -> None:
        """Show the final state and end the line. Nothing is shown from then on."""
        if self.enabled:
            self._show(end="\n")
        self.enabled = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        """Return the line as it would be shown now."""
        amount = self._amount(self.done)
        parts = [amount if self.total is None else f"{amount} of {self._amount(self.total)}"]
        if self.total:
            parts.insert(0, f"{min(1.0, self.done / self.total):4.0%}")
        elapsed = self._clock() - self._started_at
        rate = (self.done - self._started_with) / elapsed if elapsed > 0 else 0.0
        if rate > 0:
            parts.append(f"{self._amount(rate, '.1f')}/s")
            if self.total is not None and self.done < self.total:
                parts.append(f"{human_seconds((self.total - self.done) / rate)} left")
        return f"{self.label}: {'  '.join(parts)}" if self.label else "  ".join(parts)

    def _amount(self, count: float, digits: str = "") -> str:
        return human_bytes(count) if self.unit == "B" else f"{count:{digits}} {self.unit}"

    def _show(self, end: str = "") -> None:
        line = str(self)
        # Pads over what a longer line before it left on the screen.
        self._stream.write(f"\r{line:<{self._width}}{end}" if self._tty else f"{line}\n")
        self._stream.flush()
        self._width = len(line)
