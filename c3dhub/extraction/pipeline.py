"""Videos -> one stream of batches -> the rows of each video: the machinery under ``extract``.

One thread decodes and scales ahead of the network (:func:`read_batches`), bounded by a short queue.
Batches run on across clips and across videos, so that many short videos cost no more than one long
one. :func:`compute` keeps a few batches under way and puts every row back to its video.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, TypeVar

from torch import Tensor

from ..base.background import ahead
from ..base.errors import C3DHubError
from ..clips.reading import Clip, ClipSpan, read_clips, stacked
from ..clips.rule import ClipRule
from ..clips.transforms import ClipTransform
from ..video import Video, VideoSource, open_video
from .clip_network import Pending, Rows
from .options import ReadOptions

T = TypeVar("T")

# Batches that wait for the network, and batches that it has begun. More only takes memory.
_BATCHES_READY = 2
_BATCHES_STARTED = 2


@dataclass(frozen=True)
class Part:
    """A video between two times of its own, in seconds, instead of those of the clip rule."""

    video: VideoSource
    start: float | None
    end: float | None


@dataclass(frozen=True)
class Opened:
    """A video begins; ``expected`` is about how many clips it will give, where that is known."""

    number: int
    name: str
    expected: int | None


@dataclass(frozen=True)
class Batch:
    """uint8 clips (N, T, H, W, 3), and of each the number of its video and where it is there."""

    frames: Tensor
    owners: Sequence[tuple[int, ClipSpan]]


@dataclass(frozen=True)
class Ended:
    """A video is read to its end, or to its error: ``origin`` and ``warnings`` are about it."""

    number: int
    n_clips: int = 0
    origin: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: C3DHubError | None = None


@dataclass
class VideoRows:
    """The rows of one video as they come, and once it is read to its end, what was said of it."""

    arrays: list[Rows] = field(default_factory=list)
    spans: list[ClipSpan] = field(default_factory=list)
    ended: Ended | None = None

    @property
    def is_complete(self) -> bool:
        if self.ended is None:
            return False
        return self.ended.error is not None or len(self.spans) == self.ended.n_clips

    def add(self, rows: Rows, spans: Sequence[ClipSpan]) -> None:
        self.arrays.append(rows)
        self.spans.extend(spans)


Event = Opened | Batch | Ended


@dataclass(frozen=True)
class Reading:
    """How videos become batches: cut by ``rule``, scaled by ``transform``, read as ``options`` say,
    whose ``batch_size`` is settled."""

    rule: ClipRule
    transform: ClipTransform
    options: ReadOptions

    def open(self, video: VideoSource) -> Video:
        side = min(self.transform.contract.resize_size)
        chosen = self.options
        return open_video(video, errors=chosen.errors, decode=chosen.decode, short_side=side)

    def describe(self) -> dict[str, Any]:
        """Return what the provenance says of it."""
        return {"clip_rule": self.rule.to_dict(), "decode": self.options.decode}


def read_batches(videos: Iterable[VideoSource | Part], reading: Reading) -> Iterator[Event]:
    """Read one video after the other; every batch but the very last one is full."""
    clips: list[Clip] = []
    owners: list[tuple[int, ClipSpan]] = []
    try:
        for number, video in enumerate(videos):
            for event in _read(number, video, reading):
                if not isinstance(event, Clip):
                    yield event
                    continue
                clips.append(event)
                owners.append((number, event.span))
                if len(clips) == reading.options.batch_size:
                    yield _batch(clips, owners)
                    clips, owners = [], []
    except Exception:
        if clips:  # of videos before the one that is wrong
            yield _batch(clips, owners)
        raise
    if clips:
        yield _batch(clips, owners)


def _batch(clips: Sequence[Clip], owners: Sequence[tuple[int, ClipSpan]]) -> Batch:
    return Batch(stacked([clip.frames for clip in clips]), owners)


def _read(
    number: int, video: VideoSource | Part, reading: Reading
) -> Iterator[Opened | Clip | Ended]:
    n_clips, rule = 0, reading.rule
    if isinstance(video, Part):
        rule = replace(rule, start=video.start, end=video.end)
        video = video.video
    try:
        with reading.open(video) as source, _in_background(source.sha256) as digest:
            yield Opened(number, source.name, _expected(source, rule))
            for clip in read_clips(source, rule=rule, transform=reading.transform):
                n_clips += 1
                yield clip
            origin = {
                "name": source.name,
                "size_bytes": source.size_bytes,
                "sha256": digest.result(),
            }
            yield Ended(number, n_clips, origin, tuple(source.warnings))
    except C3DHubError as error:
        yield Ended(number, error=error)


@contextmanager
def _in_background(task: Callable[[], T]) -> Iterator[Future[T]]:
    """Run ``task`` in a thread; after an error nobody waits for it."""
    pool = ThreadPoolExecutor(1)
    try:
        yield pool.submit(task)
    finally:
        pool.shutdown(wait=False)


def _expected(source: Video, rule: ClipRule) -> int | None:
    """Return about how many clips will come, for the progress bar alone."""
    if source.expected_frames is None or rule.start is not None or rule.end is not None:
        return None
    samples = source.expected_frames
    if rule.fps is not None and source.frame_rate:
        samples = round(samples * rule.fps / source.frame_rate)
    return math.ceil(samples / rule.stride)


def compute(
    events: Iterable[Event],
    begin: Callable[[Tensor], Pending],
    *,
    opened: Callable[[Opened], None] = lambda _: None,
    clips_done: Callable[[int], None] = lambda _: None,
) -> Generator[VideoRows, None, None]:
    """Put the batches through the network and yield each video in order, as soon as it is complete.

    ``begin`` starts with uint8 clips (N, T, H, W, 3); ``opened`` and ``clips_done`` are told
    how far things are. An error out of ``events`` is raised after the videos that came before it.
    """
    under_way: deque[tuple[Pending, Batch]] = deque()
    ledger = _Ledger()

    def collect(most: int) -> None:
        while len(under_way) > most:
            result, batch = under_way.popleft()
            ledger.add(result(), batch.owners)
            clips_done(len(batch.owners))

    errors: list[Exception] = []
    with closing(ahead(events, depth=_BATCHES_READY)) as ready:
        for event in _up_to_error(ready, errors):
            if isinstance(event, Batch):
                under_way.append((begin(event.frames), event))
                collect(_BATCHES_STARTED)
            elif isinstance(event, Opened):
                opened(event)
            else:
                ledger[event.number].ended = event
            yield from ledger.complete()
    collect(0)
    yield from ledger.complete()
    if errors:
        raise errors[0]


def _up_to_error(events: Iterable[Event], errors: list[Exception]) -> Iterator[Event]:
    """Yield ``events``; an error among them ends them and is put into ``errors``."""
    try:
        yield from events
    except Exception as error:  # noqa: BLE001 - raised later, whatever it is
        errors.append(error)


class _Ledger:
    """Rows by video, given out in the order of the videos."""

    def __init__(self) -> None:
        self._videos: dict[int, VideoRows] = {}
        self._following = 0

    def __getitem__(self, number: int) -> VideoRows:
        return self._videos.setdefault(number, VideoRows())

    def add(self, rows: Rows, owners: Sequence[tuple[int, ClipSpan]]) -> None:
        """Hand the rows of a batch to the videos that they belong to."""
        first = 0
        for number, group in groupby(owners, key=lambda owner: owner[0]):
            spans = [span for _, span in group]
            last = first + len(spans)
            if number >= self._following:  # else its video failed after these clips
                own = {name: value[first:last] for name, value in rows.items()}
                self[number].add(own, spans)
            first = last

    def complete(self) -> Iterator[VideoRows]:
        """Yield the videos that are complete, up to the first that is not."""
        while self[self._following].is_complete:
            self._following += 1
            yield self._videos.pop(self._following - 1)
