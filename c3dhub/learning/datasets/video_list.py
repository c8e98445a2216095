"""What a dataset is here: videos, or parts of videos, with a class each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class VideoItem:
    """One labelled video, or the part of it between two times.

    Parameters
    ----------
    path: the video; a folder of numbered images counts as one.
    label: index into :attr:`VideoList.classes`.
    start, end: seconds on the video's own clock, half-open; None is its beginning or end.
    group: what must not be split between training and test (a person, a scene), where known.
    """

    path: Path
    label: int
    start: float | None = None
    end: float | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if self.label < 0:
            raise ValueError(f"label is {self.label}; it must be an index, 0 or more")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(
                f"{self.path}: end is {self.end} s and start {self.start} s; end must lie after "
                "start"
            )

    @property
    def span(self) -> tuple[float, float]:
        """Start and end in seconds, infinite where there is none."""
        start = float("-inf") if self.start is None else self.start
        return start, float("inf") if self.end is None else self.end


@dataclass(frozen=True)
class BrokenVideo:
    """A video of which something could not be read: where it is, why, its position in the list."""

    path: str
    reason: str
    position: int


@dataclass(frozen=True)
class VideoList:
    """Labelled videos in a fixed order, and the names of their classes.

    Parameters
    ----------
    items: the videos.
    classes: names in the order of the labels; classes without a video may be among them.
    origin: where the list comes from, for messages.
    """

    items: tuple[VideoItem, ...]
    classes: tuple[str, ...]
    origin: str = ""

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(self.classes).items() if count > 1]
        if twice:
            raise ValueError(f"classes names {twice[0]!r} more than once; each name stands once")
        beyond = [item for item in self.items if item.label >= len(self.classes)]
        if beyond:
            raise ValueError(
                f"{beyond[0].path} has label {beyond[0].label}, but there are "
                f"{len(self.classes)} classes: labels go from 0 to {len(self.classes) - 1}"
            )

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"VideoList({len(self)} videos, {len(self.classes)} classes, {self.origin!r})"

    @property
    def labels(self) -> list[int]:
        """The label of every video, in order."""
        return [item.label for item in self.items]

    @property
    def counts(self) -> list[int]:
        """How many videos each class has."""
        found = Counter(self.labels)
        return [found[label] for label in range(len(self.classes))]

    def pick(self, positions: list[int]) -> VideoList:
        """Return the videos at ``positions``, with the same classes."""
        return replace(self, items=tuple(self.items[position] for position in positions))
