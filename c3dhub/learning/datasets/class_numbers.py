"""Which number each class gets: the order of the names, and finding a label among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from ...base.errors import DatasetError, near_matches, shortened
from .rows import Found
from .video_files import read_classes

_SHIPPED = ("kinetics400", "ucf101", "hmdb51")


def class_order(found: Found, classes: Sequence[str] | str | Path | None) -> tuple[str, ...]:
    """Return the names in the order of the labels.

    In this order of precedence: the names that the caller gives; the layout's own order; that of
    Kinetics-400, UCF-101 or HMDB-51 as the pretrained models have it, where the names are the same
    but for capitals, spaces and underscores; the sorted names (by number where all are numbers).
    """
    if classes is not None:
        return _given(classes)
    if found.classes is not None:
        return found.classes
    names = {row.label for row in found.rows} | set(found.empty)
    for known in map(shipped, _SHIPPED):
        if len(names) == len(known) and {_key(n) for n in names} == {_key(n) for n in known}:
            return known
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def labels_of(names: Iterable[str], classes: Sequence[str], *, origin: str) -> dict[str, int]:
    """Return the index in ``classes`` of each name.

    A name matches as it stands, or else without regard to capitals, spaces and underscores; where
    all names are numbers and no class is called so, they are the indices themselves.

    Raises DatasetError for names that match nothing; it lists them with near matches.
    """
    wanted = sorted(set(names))
    exact = {name: index for index, name in enumerate(classes)}
    if wanted and all(name.isdecimal() for name in wanted) and not exact.keys() & set(wanted):
        return _indices(wanted, classes, origin=origin)
    counts = Counter(map(_key, classes))
    loose = {_key(name): i for i, name in enumerate(classes) if counts[_key(name)] == 1}
    found = {name: exact.get(name, loose.get(_key(name))) for name in wanted}
    unknown = [name for name, index in found.items() if index is None]
    if unknown:
        lines = [f"  {name!r}.{near_matches(name, classes, most=3)}" for name in unknown]
        raise DatasetError(
            f"{origin}: {len(unknown)} label(s) are not among the {len(classes)} classes:\n"
            + shortened(lines)
        )
    return {name: index for name, index in found.items() if index is not None}


def shipped(name: str) -> tuple[str, ...]:
    """Return the names of a list that comes with c3dhub, in its order."""
    text = (files("c3dhub") / "registry" / "labels" / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def _given(classes: Sequence[str] | str | Path) -> tuple[str, ...]:
    if isinstance(classes, (str, Path)):
        origin, names = str(classes), read_classes(Path(classes))
    else:
        origin, names = "classes", tuple(classes)
    wrong = [name for name in names if not isinstance(name, str) or not name]
    if wrong or not names:
        raise DatasetError(f"{origin}: holds {wrong[:1] or 'nothing'}; it must hold class names")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DatasetError(f"{origin}: names {twice[0]!r} more than once; each name stands once")
    return names


def _indices(names: Sequence[str], classes: Sequence[str], *, origin: str) -> dict[str, int]:
    beyond = [name for name in names if int(name) >= len(classes)]
    if beyond:
        raise DatasetError(
            f"{origin}: label {beyond[0]} is no index of the {len(classes)} classes given; they "
            f"go from 0 to {len(classes) - 1}"
        )
    return {name: int(name) for name in names}


def _key(name: str) -> str:
    return "".join(name.casefold().replace("_", " ").split())
