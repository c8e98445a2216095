"""Whose class is whose: the classes of the data against those of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...base.errors import DatasetError, near_matches

_MOST_NAMED = 10


def outputs_of_classes(
    wanted: Sequence[str], known: Sequence[str] | None, *, num_classes: int, origin: str
) -> tuple[int, ...]:
    """Return for each class of the data which output of the network stands for it.

    Parameters
    ----------
    wanted: names of the data's classes, in the order of its labels.
    known: names of the network's outputs in order; None where they are unknown.
    num_classes: outputs of the network.
    origin: what the data is called in messages.

    With names on both sides they are matched by name, whatever their order; case does not matter,
    nor whether words are joined by blanks, underscores or hyphens. The data may have fewer classes
    than the network. Without names label ``i`` is output ``i``, and the counts must agree.

    Raises DatasetError, naming classes that the network does not have and the nearest it has.

    Example: ``("high_jump", "archery")`` against ``("archery", "high jump")`` gives ``(1, 0)``.
    """
    if known is None:
        return _by_index(wanted, num_classes=num_classes, origin=origin)
    exact = {name: output for output, name in enumerate(known)}
    loose = _loose(known)
    found = [exact.get(name, loose.get(_key(name))) for name in wanted]
    missing = [name for name, output in zip(wanted, found, strict=True) if output is None]
    if missing:
        raise DatasetError(_missing(missing, known, origin))
    outputs = tuple(output for output in found if output is not None)
    for output, count in Counter(outputs).items():
        if count > 1:
            names = [name for name, own in zip(wanted, outputs, strict=True) if own == output]
            raise DatasetError(
                f"{origin}: the classes {' and '.join(map(repr, names))} both match the network's "
                f"{known[output]!r}; make them one class"
            )
    return outputs


def _by_index(wanted: Sequence[str], *, num_classes: int, origin: str) -> tuple[int, ...]:
    if len(wanted) != num_classes:
        raise DatasetError(
            f"{origin} has {len(wanted)} classes and the network, whose classes have no names, "
            f"{num_classes} outputs; labels then stand for outputs, so the counts must agree: give "
            "classes, one name for each output, in the network's order"
        )
    return tuple(range(num_classes))


def _loose(known: Sequence[str]) -> dict[str, int]:
    """Return key -> output for the keys that only one name has."""
    keys = [_key(name) for name in known]
    counts = Counter(keys)
    return {key: output for output, key in enumerate(keys) if counts[key] == 1}


def _key(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _missing(missing: Sequence[str], known: Sequence[str], origin: str) -> str:
    named = [f"{name!r}{near_matches(name, known, most=3)}" for name in missing[:_MOST_NAMED]]
    more = f"; and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    listed = "; ".join(named).replace("?; ", "? ").rstrip(".")
    first = ", ".join([*known[:3], "..."] if len(known) > 3 else known)
    return (
        f"{origin}: {len(missing)} of its classes are none of the network's {len(known)} "
        f"({first}): {listed}{more}. Evaluate a network that was trained on these "
        "classes, or rename them"
    )
