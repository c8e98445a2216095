"""From what a container says about time to seconds that never decrease. Pure logic, no decoder.

Three clocks are possible, and the first frames decide once which one serves:

1. the presentation timestamps (pts), where the first frames all have one and they increase;
2. the decoding timestamps (dts), counted from the first and put at the stream's start. AVI, which
   has no presentation timestamps and gets invented ones, is asked for these first;
3. the frame number over the frame rate, where there is neither (raw H.264).

After that single frames are repaired: one without a timestamp follows its predecessor by a frame
interval, one that goes back is raised to its predecessor's. Each kind is counted and reported once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, TypeVar

Item = TypeVar("Item")
ClockName = Literal["pts", "dts", "frame rate"]

FIRST_FRAMES = 8
DEFAULT_RATE = Fraction(25)
# A step back by more than this is no disorder of a few frames: the clock was set anew, as in
# transport streams joined end to end. Raising all that follows would stop the time for hours.
RESTART_SECONDS = 10.0


@dataclass(frozen=True)
class Stamp:
    """What the decoder says about the time of one frame, in ticks of the stream's time base."""

    pts: int | None = None
    dts: int | None = None
    duration: int | None = None


@dataclass(frozen=True)
class StreamTime:
    """What the header says about time.

    Parameters
    ----------
    time_base: seconds per tick; None where there are no ticks, then frames are counted.
    start_time: ticks at which the stream starts, None where unknown.
    rate: frames per second, None where unknown; 25 is assumed where it is needed.
    dts_first: the format invents its pts, so that increasing dts are the better clock.
    rate_is_chosen: counting frames is what the caller asked for, no reason for a warning.
    """

    time_base: Fraction | None = None
    start_time: int | None = None
    rate: Fraction | None = None
    dts_first: bool = False
    rate_is_chosen: bool = False

    def seconds(self, ticks: int) -> float:
        """Return when something at ``ticks`` is shown. Needs a time base."""
        assert self.time_base is not None
        # One division of whole numbers, so that frame i at 25 per second is at exactly i / 25.
        return ticks * self.time_base.numerator / self.time_base.denominator

    def length(self, ticks: int) -> float:
        """Return how long a frame of that duration is shown, in seconds. Needs a time base."""
        assert self.time_base is not None
        return float(ticks * self.time_base)


def choose_clock(stamps: Sequence[Stamp], *, dts_first: bool = False) -> ClockName:
    """Return the clock that the first frames of a video can be timed by."""
    pts = [stamp.pts for stamp in stamps]
    dts = [stamp.dts for stamp in stamps]
    while dts and dts[-1] is None:  # the last frames leave the decoder without a packet
        dts.pop()
    usable: dict[ClockName, bool] = {"pts": _increase(pts), "dts": _increase(dts)}
    order: tuple[ClockName, ...] = ("dts", "pts") if dts_first else ("pts", "dts")
    return next((name for name in order if usable[name]), "frame rate")


def with_seconds(
    frames: Iterable[tuple[Stamp, Item]], time: StreamTime, *, warn: Callable[[str], object]
) -> Iterator[tuple[Item, float, float]]:
    """Yield (item, seconds, end_seconds) for every frame, in the order given.

    ``seconds`` never decreases and is not shifted: a stream that starts at 8.333 s says so.
    ``end_seconds`` is the next frame's ``seconds``; the last frame's comes from its own duration,
    else the frame rate, else the last interval. ``warn`` gets one line for each kind of repair,
    when the iteration ends. At most 8 frames are held back, at the start; one from then on.
    """
    remaining = iter(frames)
    first = list(itertools.islice(remaining, FIRST_FRAMES))
    clock = choose_clock([stamp for stamp, _ in first], dts_first=time.dts_first)
    line = _Timeline.start(clock if time.time_base else "frame rate", time, first)
    waiting: tuple[Stamp, Item, float] | None = None
    try:
        while first:  # not itertools.chain, which would keep the first frames alive to the end
            stamp, item = first.pop(0)
            seconds = line.place(stamp)
            if waiting is not None:
                yield waiting[1], waiting[2], seconds
            waiting = stamp, item, seconds
            first.extend(itertools.islice(remaining, 0 if first else 1))
        if waiting is not None:
            yield waiting[1], waiting[2], waiting[2] + line.duration(waiting[0])
    finally:
        for message in line.report():
            warn(message)


def _increase(values: Sequence[int | None]) -> bool:
    known = [value for value in values if value is not None]
    return 0 < len(known) == len(values) and all(a < b for a, b in itertools.pairwise(known))


@dataclass
class _Timeline:
    """Places one frame after the other and counts what had to be repaired."""

    clock: ClockName
    time: StreamTime  # its time base is a frame interval where frames are counted
    rate: Fraction | None
    origin: int = 0  # ticks taken off every timestamp
    shift: float = 0.0  # seconds added since the clock was set anew
    index: int = 0  # of the next frame
    last: float | None = None
    last_step: float = 0.0
    warnings: list[str] = field(default_factory=list)
    missing: int = 0
    backwards: int = 0
    repeated: int = 0
    restarts: int = 0

    @classmethod
    def start(
        cls, clock: ClockName, time: StreamTime, first: Sequence[tuple[Stamp, object]]
    ) -> _Timeline:
        rate = time.rate if time.rate and time.rate > 0 else None
        if clock == "frame rate":
            line = cls(clock, replace(time, time_base=1 / (rate or DEFAULT_RATE)), rate)
            if first and not time.rate_is_chosen:
                origin = "the header's rate" if rate else "an assumed rate"
                line.warnings.append(
                    "the video has no usable timestamps: frames are placed by "
                    f"{origin} of {float(rate or DEFAULT_RATE):g} frames per second"
                )
            return line
        line = cls(clock, time, rate)
        if clock == "dts":
            line.origin = (first[0][0].dts or 0) - (time.start_time or 0)
        return line

    def place(self, stamp: Stamp) -> float:
        """Return the seconds of the next frame."""
        before, raw = self.last, self._raw(stamp)
        if raw is None:
            seconds = 0.0 if before is None else before + self._interval()
        elif before is None or raw > before:
            seconds = raw
        else:
            seconds = self._repaired(raw, before)
        if before is not None and seconds > before:
            self.last_step = seconds - before
        self.last = seconds
        self.index += 1
        return seconds

    def _raw(self, stamp: Stamp) -> float | None:
        by_name = {"pts": stamp.pts, "dts": stamp.dts, "frame rate": self.index}
        ticks = by_name[self.clock]
        if ticks is None:
            # Under the dts clock the last frames never have one: nothing to warn of.
            self.missing += self.clock == "pts"
            return None
        return self.time.seconds(ticks - self.origin) + self.shift

    def _repaired(self, raw: float, before: float) -> float:
        if raw == before:
            self.repeated += 1
            return before
        if before - raw <= RESTART_SECONDS:
            self.backwards += 1
            return before
        self.restarts += 1
        seconds = before + self._interval()
        self.shift += seconds - raw
        return seconds

    def _interval(self) -> float:
        return float(1 / self.rate) if self.rate else self.last_step or float(1 / DEFAULT_RATE)

    def duration(self, stamp: Stamp) -> float:
        """Return how long the last frame is shown."""
        if self.clock != "frame rate" and stamp.duration and stamp.duration > 0:
            return self.time.length(stamp.duration)
        return self._interval()

    def report(self) -> Iterator[str]:
        yield from self.warnings
        if self.missing:
            yield (
                f"{_frames(self.missing)} without a timestamp: placed one frame interval after the "
                "frame before"
            )
        if self.backwards:
            yield (
                f"{_frames(self.backwards)} with a timestamp before the previous frame's: given "
                "the previous frame's"
            )
        if self.repeated:
            yield f"{_frames(self.repeated)} with the same timestamp as the frame before"
        if self.restarts:
            yield (
                f"the video's clock jumped back {self.restarts} time(s) by more than "
                f"{RESTART_SECONDS:g} s: the times that follow continue from there"
            )


def _frames(count: int) -> str:
    return f"{count} frame" if count == 1 else f"{count} frames"
