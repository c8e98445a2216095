"""Which videos are evaluated: the part of a dataset that nothing was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...base.errors import DatasetError
from ..datasets import VideoList, list_subsets, read_dataset
from ..datasets.recognition import Layout
from ..labelled import held_back, named


def videos_to_evaluate(
    data: VideoList | str | Path,
    *,
    layout: Layout | None,
    subset: str | None,
    split: int,
    videos: str | Path | None,
    classes: Sequence[str] | str | Path | None,
) -> VideoList:
    """Return the list that is meant; the options are those of :func:`c3dhub.read_dataset`.

    ``subset=None`` takes ``"test"`` where the dataset has it, else ``"val"``, else everything.
    Raises ValueError for options that go with a path beside a list, DatasetError for no videos.
    """
    if isinstance(data, VideoList):
        found = data
        _refuse(layout=layout, subset=subset, videos=videos, classes=classes)
    else:
        if subset is None:
            subset = held_back(list_subsets(data, layout=layout, split=split, videos=videos))
        found = read_dataset(
            data, layout=layout, subset=subset, split=split, videos=videos, classes=classes
        )
    if not found.items:
        raise DatasetError(f"{named(found)} has no videos to evaluate; look at path and subset")
    return found


def _refuse(**given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} is {value!r}, but data is a VideoList, which is read already; give "
                f"{name} to c3dhub.read_dataset"
            )
