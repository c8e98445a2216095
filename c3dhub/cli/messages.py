"""What commands say: lines of log on stderr, results on stdout, tables."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Sequence
from typing import Any


def say(text: str) -> None:
    """Write one line of log to stderr."""
    print(f"c3dhub: {text}", file=sys.stderr)


def say_videos(lines: Sequence[str], *, of: int, fate: str) -> None:
    """Say how many of all videos have a fate, such as "failed", then a line for each of them."""
    if lines:
        say(f"{len(lines)} of {of} videos {fate}:")
    for line in lines:
        say(f"  {line}")


def exit_code(failed: Sequence[str], *, of: int) -> int:
    """Return 0, or 1 after the names of what failed went to stderr."""
    if not failed:
        return 0
    say(f"{len(failed)} of {of} failed: {', '.join(failed)}")
    return 1


def answer(result: Any) -> None:
    """Print a text as it is, anything else as indented JSON."""
    print(result if isinstance(result, str) else json.dumps(result, indent=2))


def aligned(rows: Sequence[Sequence[str]], *, left: int = 2, gap: str = "  ") -> list[str]:
    """Return lines of equally wide columns, the first ``left`` of them aligned to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(gap.join(cells).rstrip())
    return lines


def percent(share: float | None) -> str:
    """Return a share of 0..1 as seven characters: ``"  12.3%"``; a dash where there is none."""
    return f"{'-':>7s}" if share is None else f"{share:7.1%}"


def wrapped(text: str, *, width: int = 98) -> list[str]:
    """Return the lines of a paragraph, those after the first indented."""
    return textwrap.wrap(text, width, subsequent_indent="  ")
