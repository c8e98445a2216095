"""How an option is declared: one dataclass field that holds default, help and form.

The command line makes its arguments from such fields, :mod:`c3dhub.extraction.options` the
signatures of the Python functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any


def option(
    default: Any,
    text: str,
    *,
    metavar: str | None = None,
    kind: Callable[[str], Any] | None = None,
    choices: tuple[str, ...] | None = None,
    repeated: bool = False,
) -> Any:
    """Return the field of a dataclass for one option.

    Parameters
    ----------
    default: its value where nobody asks for another.
    text: what it means, in one line, for ``--help`` and ``help()``.
    metavar: what stands for its value in ``--help``.
    kind: what makes the value out of the text that is typed, text itself if None.
    choices: the words that it may be.
    repeated: it may be typed several times, each time with one value more.
    """
    action = "append" if repeated else None
    about = {"help": text, "metavar": metavar, "type": kind, "choices": choices, "action": action}
    return field(default=default, metadata={k: v for k, v in about.items() if v is not None})


def words(text: str) -> tuple[str, ...]:
    """Return what stands between the commas of ``"layer3, avgpool"``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
