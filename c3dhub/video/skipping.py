"""Decoding only the pictures that somebody asks for, to the very same pixels and times.

Packets are read as always, which costs a hundredth of decoding them. They are gathered from one
independent picture up to the next, so that it is known which frames they hold and when each is
shown; the caller says which of these it needs, and the decoder gets no packet that

- belongs to a stretch of which nothing is needed,
- comes after the last needed picture of its stretch in the order of decoding, or
- holds a picture that is not needed and that no other one refers to.

What is left is a legal stream by itself. Wherever the file gives the slightest reason to doubt that
each packet becomes one frame at its own time, :class:`DoubtError` is raised, and the caller decodes
everything instead.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from .bitstream import Role, RoleReader
from .timestamps import Stamp, StreamTime

Needed: TypeAlias = Callable[[float, float], bool]
"""Told (seconds, end_seconds) of each frame in order; returns whether its pixels are needed."""

# A stretch waits in memory as compressed packets. Longer ones are rare, and decoded as a whole.
MOST_PACKETS = 3000
MOST_BYTES = 1 << 25


class DoubtError(Exception):
    """Leaving packets out might change the frames of this file."""


@dataclass(frozen=True)
class Entry:
    """One packet, which is one frame: its timestamps, and whether it goes to the decoder."""

    packet: Any
    stamp: Stamp
    role: Role
    sent: bool = False

    @property
    def pts(self) -> int:
        """Return the presentation timestamp, which every entry has."""
        assert self.stamp.pts is not None
        return self.stamp.pts


def stretches(
    packets: Iterable[Any],
    *,
    read_role: RoleReader,
    time: StreamTime,
    reorder_depth: int,
    needed: Needed,
) -> Iterator[list[Entry]]:
    """Yield the stretches between independent pictures, each with its entries in decoding order.

    Parameters
    ----------
    time: of the stream, with a time base.
    reorder_depth: frames that the decoder holds back to put them in order.
    needed: called once for each frame, in order of presentation.
    """
    headers: tuple[bytes, ...] = ()
    last_pts: int | None = None
    for entries, following in _gathered(packets, read_role):
        if last_pts is None:
            headers = entries[0].role.headers
        _check_headers(entries, headers)
        _check_order(entries, last_pts, reorder_depth)
        shown = sorted(entries, key=lambda entry: entry.pts)
        last_pts = shown[-1].pts
        wanted = {entry.pts for entry in _wanted(shown, following, time, needed)}
        yield _with_decisions(entries, wanted)


def frames(
    plans: Iterable[list[Entry]], *, decode: Callable[[Any], Iterable[Any]]
) -> Iterator[tuple[Stamp, Any | None]]:
    """Yield (stamp, decoded frame, or None where left out) for every entry, as they are shown.

    ``decode`` is given one packet after the other, and None at the end. Raises DoubtError where it
    does not give exactly the frames that were expected.
    """
    waiting: deque[Entry] = deque()
    for entries in plans:
        waiting.extend(sorted(entries, key=lambda entry: entry.pts))
        yield from _passed_over(waiting)
        for entry in entries:
            if entry.sent:
                yield from _matched(decode(entry.packet), waiting)
    yield from _matched(decode(None), waiting)
    if waiting:
        raise DoubtError("the decoder gave fewer frames than packets")


def _matched(decoded: Iterable[Any], waiting: deque[Entry]) -> Iterator[tuple[Stamp, Any | None]]:
    for frame in decoded:
        if frame.is_corrupt or not waiting or waiting[0].pts != frame.pts:
            raise DoubtError("the decoder gave a frame that was not expected")
        yield waiting.popleft().stamp, frame
        yield from _passed_over(waiting)


def _passed_over(waiting: deque[Entry]) -> Iterator[tuple[Stamp, None]]:
    while waiting and not waiting[0].sent:
        yield waiting.popleft().stamp, None


def _gathered(
    packets: Iterable[Any], read_role: RoleReader
) -> Iterator[tuple[list[Entry], int | None]]:
    """Yield the entries of each stretch, and the timestamp at which the next one starts."""
    entries: list[Entry] = []
    size = 0
    for packet in packets:
        entry = _entry(packet, read_role)
        if entry.role.starts and entries:
            yield entries, entry.pts
            entries, size = [], 0
        elif not entries and not entry.role.starts:
            raise DoubtError("the first picture refers to others")
        entries.append(entry)
        size += packet.size
        if len(entries) > MOST_PACKETS or size > MOST_BYTES:
            raise DoubtError("independent pictures are too far apart")
    if entries:
        yield entries, None


def _entry(packet: Any, read_role: RoleReader) -> Entry:
    unusual = packet.is_corrupt or packet.is_discard or packet.pts is None or packet.size == 0
    role = None if unusual or _has_new_header(packet) else read_role(packet)
    if role is None:
        raise DoubtError("a packet is not one picture with its own time")
    return Entry(packet, Stamp(packet.pts, packet.dts, packet.duration or None), role)


def _has_new_header(packet: Any) -> bool:
    return bool(packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change"))


def _check_headers(entries: list[Entry], headers: tuple[bytes, ...]) -> None:
    """A packet left out must not have changed the decoder's parameters."""
    first, *others = entries
    if first.role.headers != headers:
        raise DoubtError("the parameters change")
    if any(entry.role.headers not in ((), headers) for entry in others):
        raise DoubtError("the parameters change")


def _check_order(entries: list[Entry], last_pts: int | None, reorder_depth: int) -> None:
    """The frames must be those after the last ones, and be put in order by the decoder."""
    pts = [entry.pts for entry in entries]
    earliest = min(pts)
    if pts[0] != earliest or len(set(pts)) < len(pts):
        raise DoubtError("frames come before the one that they depend on")
    if last_pts is not None and earliest <= last_pts:
        raise DoubtError("the clock goes back")
    # What the decoder holds when a picture comes that is shown before it.
    held: list[int] = []
    ahead = list(itertools.accumulate(reversed(pts), min))[::-1]  # the earliest from here on
    for value, next_shown in zip(pts, ahead, strict=True):
        held = [other for other in held if other > next_shown]
        if sum(other > value for other in held) > reorder_depth:
            raise DoubtError("frames are more out of order than the header says")
        held.append(value)


def _wanted(
    shown: list[Entry], following: int | None, time: StreamTime, needed: Needed
) -> Iterator[Entry]:
    starts: list[float | None] = [time.seconds(entry.pts) for entry in shown]
    starts.append(None if following is None else time.seconds(following))
    for entry, (seconds, end_seconds) in zip(shown, itertools.pairwise(starts), strict=True):
        assert seconds is not None
        duration = entry.stamp.duration
        if end_seconds is None and duration is not None and duration > 0:
            end_seconds = seconds + time.length(duration)
        # Without a duration it is not known here when the last frame ends.
        if end_seconds is None or needed(seconds, end_seconds):
            yield entry


def _with_decisions(entries: list[Entry], wanted: set[int]) -> list[Entry]:
    last = max((i for i, entry in enumerate(entries) if entry.pts in wanted), default=-1)
    top = max(entry.role.layer for entry in entries)
    return [
        replace(entry, sent=i <= last and _is_used(entry, wanted, top))
        for i, entry in enumerate(entries)
    ]


def _is_used(entry: Entry, wanted: set[int], top: int) -> bool:
    # Of temporal layers only the highest is safe: pictures of a higher one may refer to a lower.
    return entry.pts in wanted or not entry.role.droppable or entry.role.layer != top
