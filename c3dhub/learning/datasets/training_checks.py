"""What makes training senseless, found before it starts."""

from __future__ import annotations

from ...base.errors import DatasetError, shortened, some
from .video_list import VideoItem, VideoList


def check_training(train: VideoList, val: VideoList | None = None) -> None:
    """Raise DatasetError for lists that nothing can be learned from, or nothing learned about.

    That is: fewer than two classes, a class without training videos, no validation video, other
    classes in ``val``, or the same video in both. Two parts of one file that do not overlap may be
    in different lists.
    """
    name = train.origin or "the training list"
    if not train.items:
        raise DatasetError(f"{name}: holds no video; training needs some of every class")
    if len(train.classes) < 2:
        raise DatasetError(
            f"{name}: has the class {train.classes[0]!r} alone; telling classes apart takes two at "
            "least"
        )
    if len(train) < len(train.classes):
        raise DatasetError(
            f"{name}: has {len(train)} videos for {len(train.classes)} classes; training needs at "
            f"least one of each. {_without(train)}"
        )
    if 0 in train.counts:
        raise DatasetError(f"{name}: {_without(train)}")
    if val is not None:
        _check_validation(train, val)


def _without(train: VideoList) -> str:
    names = [name for name, count in zip(train.classes, train.counts, strict=True) if not count]
    return (
        f"{len(names)} classes have no training video; add some, or leave the classes out:\n"
        + shortened([f"  {name}" for name in names])
    )


def _check_validation(train: VideoList, val: VideoList) -> None:
    name = val.origin or "the validation list"
    if not val.items:
        raise DatasetError(f"{name}: holds no video to validate with; hold_out sets some aside")
    if val.classes != train.classes:
        own, learned = (some([*map(repr, part.classes)], most=3) for part in (val, train))
        raise DatasetError(
            f"{name}: its classes are {own}, those of the training list {learned}; read both with "
            "the same classes="
        )
    known: dict[object, list[VideoItem]] = {}
    for item in train.items:
        known.setdefault(item.path, []).append(item)
    both = [item for item in val.items if any(_overlap(item, i) for i in known.get(item.path, ()))]
    if both:
        raise DatasetError(
            f"{name}: {len(both)} videos are in the training list too; what was trained on cannot "
            "be a test:\n" + shortened([f"  {item.path}" for item in both])
        )


def _overlap(one: VideoItem, other: VideoItem) -> bool:
    (start, end), (other_start, other_end) = one.span, other.span
    return max(start, other_start) < min(end, other_end)
