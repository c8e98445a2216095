"""What every layout is read into before labels become numbers: rows with names in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import DatasetError

_SAME_SUBSET = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class Row:
    """One labelled video as a list or a folder names it.

    Parameters
    ----------
    path: where the video should be; it need not exist.
    label: name of its class.
    place: where that is said, for messages: ``"list.csv, line 3"``.
    start, end: seconds, half-open; None is the video's beginning or end.
    subset: ``"train"``, ``"val"``, ``"test"`` or a name of the list's own; None where it has none.
    group: what must not be split between training and test, where known.
    elsewhere: other places where the video may be, looked at in this order.

    Raises DatasetError where ``end`` does not lie after ``start``.
    """

    path: Path
    label: str
    place: str
    start: float | None = None
    end: float | None = None
    subset: str | None = None
    group: str | None = None
    elsewhere: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise DatasetError(
                f"{self.place}: end is {self.end:g} s and start {self.start:g} s; end must lie "
                "after start"
            )


@dataclass(frozen=True)
class Found:
    """Everything that a layout holds.

    Parameters
    ----------
    rows: all videos of all subsets.
    origin: where it was read from, for messages.
    classes: names in the layout's own order; None where it has no order of its own.
    empty: names of classes that need not have a video, where ``classes`` is None.
    """

    rows: Sequence[Row]
    origin: str
    classes: tuple[str, ...] | None = None
    empty: tuple[str, ...] = ()


def subset_name(text: str) -> str:
    """Return ``"train"``, ``"val"`` or ``"test"`` for their usual spellings, others unchanged."""
    return _SAME_SUBSET.get(text.strip().casefold(), text.strip())


def is_subset(text: str) -> bool:
    """Return whether this is a usual name of a subset."""
    return text.strip().casefold() in _SAME_SUBSET
