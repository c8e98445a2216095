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

import bisect
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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


@dataclass
class Entry:
    """One packet, which is one frame, and whether it goes to the decoder."""

    packet: Any
    pts: int
    role: Role
    sent: bool = False

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.pts, self.packet.dts, self.packet.duration or None)


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
    packets: in decoding order, none of them empty.
    time: of the stream, with a time base.
    reorder_depth: frames that the decoder holds back to put them in order.
    needed: called once for each frame, in order of presentation.
    """
    last_pts: int | None = None
    for entries, following in _gathered(packets, read_role):
        _check_order([entry.pts for entry in entries], last_pts, reorder_depth)
        shown = _in_order(entries)
        last_pts = shown[-1].pts
        _decide(entries, set(_wanted(shown, following, time, needed)))
        yield entries


def frames(
    plans: Iterable[list[Entry]], *, decode: Callable[[Any], Iterable[Any]]
) -> Iterator[tuple[Stamp, Any | None]]:
    """Yield (stamp, decoded frame, or None where left out) for every entry, as they are shown.

    ``decode`` is given one packet after the other, and None at the end. Raises DoubtError where it
    does not give exactly the frames that were expected.
    """
    waiting: deque[Entry] = deque()
    for entries in plans:
        waiting.extend(_in_order(entries))
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
    size, headers = 0, None
    for packet in packets:
        entry = _entry(packet, read_role)
        headers = entry.role.headers if headers is None else headers
        # A packet left out must not have changed the decoder's parameters.
        if entry.role.headers != headers and (entry.role.starts or entry.role.headers):
            raise DoubtError("the parameters change")
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
    unusual = packet.is_corrupt or packet.is_discard or packet.pts is None
    new_header = packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change")
    role = None if unusual or new_header else read_role(packet)
    if role is None:
        raise DoubtError("a packet is not one picture with its own time")
    return Entry(packet, packet.pts, role)


def _in_order(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.pts)


def _check_order(pts: list[int], last_pts: int | None, reorder_depth: int) -> None:
    """The frames must be those after the last ones, and be put in order by the decoder."""
    if min(pts) < pts[0] or len(set(pts)) < len(pts):
        raise DoubtError("frames come before the one that they depend on")
    if last_pts is not None and pts[0] <= last_pts:
        raise DoubtError("the clock goes back")
    before: list[int] = []
    for value in pts:
        if len(before) - bisect.bisect(before, value) > reorder_depth:
            raise DoubtError("frames are more out of order than the header says")
        bisect.insort(before, value)


def _wanted(
    shown: list[Entry], following: int | None, time: StreamTime, needed: Needed
) -> Iterator[int]:
    """Yield the timestamps of the frames that are needed."""
    starts = [time.seconds(entry.pts) for entry in shown]
    end = None if following is None else time.seconds(following)
    duration = shown[-1].stamp.duration or 0
    if end is None and duration > 0:
        end = starts[-1] + time.length(duration)
    for entry, seconds, end_seconds in zip(shown, starts, [*starts[1:], end], strict=True):
        # Without a duration it is not known here when the last frame ends.
        if end_seconds is None or needed(seconds, end_seconds):
            yield entry.pts


def _decide(entries: list[Entry], wanted: set[int]) -> None:
    last = max((i for i, entry in enumerate(entries) if entry.pts in wanted), default=-1)
    # Of temporal layers only the highest is safe: pictures of a higher one may refer to a lower.
    top = max(entry.role.layer for entry in entries)
    for entry in entries[: last + 1]:
        droppable = entry.role.droppable and entry.role.layer == top
        entry.sent = entry.pts in wanted or not droppable
