"""Setting some videos of a list aside."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from ...base.checks import check_whole
from ...base.errors import DatasetError
from .video_list import VideoItem, VideoList

_Sizes = Counter[int]  # label -> videos


def hold_out(
    videos: VideoList, *, fraction: float = 0.2, seed: int = 0
) -> tuple[VideoList, VideoList]:
    """Return (kept, held out): about ``fraction`` of each class, always the same for a seed.

    What has one group stays on one side, and so do the parts of one file. Each class that has two
    groups or more (without groups: two files) keeps one on either side at least, where groups that
    hold several classes allow it; a class with one is kept. Both lists keep their order.

    Parameters
    ----------
    fraction: above 0 and below 1. Of a class with n videos about ``fraction * n`` are held out; how
        near to it depends on the sizes of the groups.
    seed: whole number, 0 or more.

    Raises ValueError for a wrong option, DatasetError where nothing can be held out.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction!r}; it must lie between 0 and 1, such as 0.2")
    check_whole("seed", seed, least=0)
    chooser = _Chooser(videos, fraction)
    names = sorted(chooser.groups)
    for index in np.random.Generator(np.random.Philox(seed)).random(len(names)).argsort():
        chooser.consider(names[index])
    chooser.complete()
    if not chooser.held:
        raise DatasetError(
            f"{videos.origin}: no video can be held out, because no class has two videos of "
            "different groups; give a list with more or videos to validate with (val, --val), or "
            "hold none out (hold_out=0, --hold-out 0)"
        )
    aside = [i for i, item in enumerate(videos.items) if _group(item) in chooser.held]
    rest = [i for i, item in enumerate(videos.items) if _group(item) not in chooser.held]
    return videos.pick(rest), videos.pick(aside)


class _Chooser:
    """Chooses groups one by one, so that what is held out comes near to its share of each class."""

    def __init__(self, videos: VideoList, fraction: float) -> None:
        self.groups: dict[str, _Sizes] = defaultdict(Counter)
        for item in videos.items:
            self.groups[_group(item)][item.label] += 1
        self.kept: _Sizes = Counter(videos.labels)
        self.wanted = {label: fraction * count for label, count in self.kept.items()}
        self.aside: _Sizes = Counter()
        self.held: set[str] = set()

    def consider(self, name: str) -> None:
        """Hold a group out where that brings its classes nearer to their share."""
        sizes = self.groups[name]
        gain = sum(
            abs(self.aside[label] - self.wanted[label])
            - abs(self.aside[label] + size - self.wanted[label])
            for label, size in sizes.items()
        )
        if gain > 0 and self._leaves_some(sizes):
            self._hold(name)

    def complete(self) -> None:
        """Hold a group out for each class of which there is none yet, where possible."""
        for label in sorted(self.wanted):
            if self.aside[label]:
                continue
            able = [
                name
                for name, sizes in self.groups.items()
                if label in sizes and self._leaves_some(sizes)
            ]
            if able:
                self._hold(min(able, key=lambda name: (self.groups[name].total(), name)))

    def _leaves_some(self, sizes: _Sizes) -> bool:
        return all(self.kept[label] > size for label, size in sizes.items())

    def _hold(self, name: str) -> None:
        self.held.add(name)
        self.aside += self.groups[name]
        self.kept -= self.groups[name]


def _group(item: VideoItem) -> str:
    # The parts of a file show the same people, whatever the list says.
    return f"file {item.path}" if item.group is None else f"group {item.group}"
