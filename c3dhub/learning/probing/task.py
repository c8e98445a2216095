"""Which videos a probe learns from and predicts, planned before anything is computed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from ..datasets.video_list import VideoList
from .folds import Fold, matched, plan_folds
from .train_and_test import with_groups


@dataclass(frozen=True)
class Plan:
    """The arguments of :func:`c3dhub.probe` that decide the folds."""

    folds: int | None
    leave_one_group_out: bool
    seed: int


@dataclass(frozen=True)
class Task:
    """All videos, the first ``n_train`` to learn from; the folds in which they are used."""

    videos: VideoList
    n_train: int
    folds: tuple[Fold, ...]
    plan: Plan

    @classmethod
    def of(
        cls, train: VideoList, test: VideoList | None, *, groups: str | None, plan: Plan
    ) -> Task:
        """Check everything that can be wrong about the lists. Raises DatasetError, ValueError."""
        if test is not None and (plan.folds is not None or plan.leave_one_group_out):
            raise ValueError(
                "there are test videos, and folds or leave_one_group_out is given; with test "
                "videos there is no cross-validation: leave one of them out"
            )
        if groups is not None:
            train = with_groups(train, groups)
            test = None if test is None else with_groups(test, groups)
        if test is None:
            return cls(train, len(train), tuple(plan_folds(train, **vars(plan))), plan)
        videos = replace(train, items=train.items + matched(train, test).items)
        fold = Fold(np.arange(len(train)), np.arange(len(train), len(videos)))
        return cls(videos, len(train), (fold,), plan)

    @property
    def is_cross_validated(self) -> bool:
        return self.n_train == len(self.videos)

    def without(self, gone: Collection[int]) -> Task:
        """Return the task without the videos at some positions, checked and planned again."""
        kept = [position for position in range(len(self.videos)) if position not in gone]
        train = self.videos.pick([position for position in kept if position < self.n_train])
        test = self.videos.pick(kept[len(train) :])
        return Task.of(
            train, None if self.is_cross_validated else test, groups=None, plan=self.plan
        )

    @property
    def protocol(self) -> str:
        if not self.is_cross_validated:
            n_tested = len(self.videos) - self.n_train
            return f"learned from {self.n_train} videos, tested on {n_tested} others"
        if self.plan.leave_one_group_out:
            return f"cross-validation, each of {len(self.folds)} groups left out once"
        grouped = any(item.group is not None for item in self.videos.items)
        whole = ", groups kept whole" if grouped else ""
        return f"{len(self.folds)}-fold cross-validation, stratified{whole}"

    def notes(self) -> list[str]:
        """Return what is suspicious about test videos."""
        learned, tested = self.videos.items[: self.n_train], self.videos.items[self.n_train :]
        found = []
        for what, field in (("file", "path"), ("group", "group")):
            known = {getattr(item, field) for item in learned} - {None}
            count = sum(getattr(item, field) in known for item in tested)
            if count:
                found.append(
                    f"{count} of {len(tested)} test videos have their {what} in common with videos "
                    "that were learned from: the accuracy may be too high"
                )
        return found
