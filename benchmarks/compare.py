"""Two runs of a history side by side.

python benchmarks/compare.py history.jsonl              # the last two
python benchmarks/compare.py history.jsonl 0.1.0 0.2.0  # by version (its last run),
python benchmarks/compare.py history.jsonl 3f2a -1      # by commit, or counted: 0, 1, -1
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from history import Record, higher_is_better, read_history

from c3dhub.cli.bench.figures import Figure
from c3dhub.cli.messages import aligned

_NOISE = 0.05
"""Differences up to this share are not called better or worse."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("history", type=Path)
    parser.add_argument("a", nargs="?", default="-2", metavar="A")
    parser.add_argument("b", nargs="?", default="-1", metavar="B")
    args = parser.parse_args(argv)
    try:
        records = read_history(args.history)
        text = compare(choose(records, args.a), choose(records, args.b))
    except (OSError, ValueError) as error:
        print(f"benchmarks/compare.py: error: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


def choose(records: Sequence[Record], wanted: str) -> Record:
    """Return the record at an index, or the last one of a version or a commit."""
    for record in reversed(records):
        commit = record.commit or ""
        if record.version == wanted or (len(wanted) >= 4 and commit.startswith(wanted)):
            return record
    try:
        return records[int(wanted)]
    except (ValueError, IndexError) as error:
        known = ", ".join(f"{i}: {_name(record)}" for i, record in enumerate(records))
        raise ValueError(f"no run is {wanted!r}; the history has {known or 'no run'}") from error


def compare(a: Record, b: Record) -> str:
    """Return the lines: each figure of both, B over A, and which way it went."""
    runs = [", ".join(part for part in (_name(run), run.date) if part) for run in (a, b)]
    lines = [f"A: {runs[0]}", f"B: {runs[1]}", *_differences(a, b), ""]
    old = {_key(figure): figure for figure in a.figures}
    rows = [("what", "A", "B", "B/A", "")]
    for figure in b.figures:
        if _key(figure) in old:
            rows.append(_row(old.pop(_key(figure)), figure))
        else:
            rows.append((_label(figure), "", _number(figure), "", "new"))
    rows += [(_label(figure), _number(figure), "", "", "gone") for figure in old.values()]
    return "\n".join([*lines, *aligned(rows, left=1)])


def _name(record: Record) -> str:
    commit = f" ({record.commit})" if record.commit else ""
    return f"c3dhub {record.version}{commit}"


def _differences(a: Record, b: Record) -> list[str]:
    """Return a line for each thing beside the version that may explain a difference."""
    lines = []
    for kind, old, new in (("machine", a.machine, b.machine), ("setup", a.setup, b.setup)):
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                lines.append(f"another {kind}: {name}: A {old.get(name)}, B {new.get(name)}")
    return lines


def _row(old: Figure, new: Figure) -> tuple[str, str, str, str, str]:
    if old.value == 0:
        return _label(new), _number(old), _number(new), "", ""
    ratio = new.value / old.value
    return _label(new), _number(old), _number(new), f"{ratio:.3f}", verdict(new, ratio)


def verdict(figure: Figure, ratio: float) -> str:
    """Return "better", "worse" or "" for a figure that is ``ratio`` times what it was."""
    wanted = higher_is_better(figure)
    if wanted is None or abs(ratio - 1) <= _NOISE:
        return ""
    return "better" if (ratio > 1) == wanted else "worse"


def _key(figure: Figure) -> tuple[str, str, str, str]:
    """Return what makes it comparable with a figure of another run."""
    return figure.what, figure.way, figure.video, figure.unit


def _label(figure: Figure) -> str:
    return ", ".join(part for part in (figure.what, figure.way, figure.video) if part)


def _number(figure: Figure) -> str:
    return f"{figure.value:.4g} {figure.unit}"


if __name__ == "__main__":
    sys.exit(main())
