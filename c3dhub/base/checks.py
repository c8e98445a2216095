"""What a value must be like, said in one way: the value, the rule, the near matches."""

from __future__ import annotations

from .errors import near_matches


def check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``known``."""
    if value not in known:
        hint = near_matches(str(value), known)
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}.{hint}")


def check_count(name: str, value: object, *, of: str) -> None:
    """Raise TypeError or ValueError unless ``value`` is a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it must be a whole number of {of}")
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")


def check_whole(name: str, value: object, *, least: int) -> None:
    """Raise ValueError unless ``value`` is a whole number of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {least}")


def check_number(name: str, value: object, *, positive: bool = False) -> None:
    """Raise TypeError or ValueError unless ``value`` is a finite number, above 0 if so asked."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it must be a number or None")
    if not abs(value) < float("inf") or (positive and value <= 0):
        rule = "a finite number above 0" if positive else "a finite number"
        raise ValueError(f"{name} is {value}; it must be {rule}")
