"""The figures of one run, as one line of JSON in a history file."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import c3dhub
from c3dhub.cli.bench.figures import Figure, Measured, machine

_PACKAGES = ("torch", "openvino", "nncf", "av", "numpy")
_LOWER_IS_BETTER = ("s", "MB", "relative")
_HIGHER_IS_BETTER = ("clips/s", "GFLOP/s", "cosine")


@dataclass(frozen=True)
class Record(Measured):
    """What one run measured, and when, with which commit. ``machine`` has the packages, too.

    Parameters
    ----------
    date: UTC, ISO 8601; "" in a line of ``c3dhub bench``.
    commit: of the checkout, None for an installed package.
    """

    date: str = ""
    commit: str | None = None

    def get(self, what: str, *, way: str = "", video: str = "", unit: str = "") -> Figure | None:
        """Return a figure, or None where it was not measured; ``unit`` "" takes any."""
        for figure in self.figures:
            same = (figure.what, figure.way, figure.video) == (what, way, video)
            if same and unit in ("", figure.unit):
                return figure
        return None

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Read what :meth:`to_json` gave. Raises ValueError for anything else."""
        try:
            data = json.loads(line)
            schema = data.pop("schema")
            if schema != cls.schema:
                raise ValueError(f"it has schema {schema!r}; this c3dhub reads {cls.schema}")
            figures = tuple(Figure(**figure) for figure in data.pop("figures"))
            return cls(figures=figures, **data)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"this is no benchmark record: {error}") from error


def read_history(path: Path) -> list[Record]:
    """Return the records of a JSON Lines file. Raises OSError, ValueError naming the line."""
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            records.append(Record.from_json(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return records


def append_history(path: Path, record: Record) -> None:
    """Add a record to a JSON Lines file, which is made where it is missing."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(record.to_json() + "\n")


def make_record(
    *,
    setup: Mapping[str, Any],
    device: str,
    figures: Sequence[Figure],
    not_served: Mapping[str, str],
) -> Record:
    """Return a record of now, of this machine and of this version."""
    return Record(
        setup=setup,
        machine={
            **machine(device),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in _PACKAGES},
        },
        figures=tuple(figures),
        not_served=not_served,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        commit=_commit(),
    )


def higher_is_better(figure: Figure) -> bool | None:
    """Return None for units that are neither good nor bad."""
    if figure.unit in _HIGHER_IS_BETTER:
        return True
    return False if figure.unit in _LOWER_IS_BETTER else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the package's checkout, with "-dirty" where it was changed."""
    root = Path(c3dhub.__file__).resolve().parent.parent
    if not (root / ".git").exists():  # else somebody's repository around a virtual environment
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(
            [*command, "--abbrev=12"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
