"""The figures of one benchmark run, as one line of JSON. Standard library only."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from ...base.version import __version__
from .timing import Timing

SCHEMA = 1

STEADY = 0.85
"""Share of the best run that the median reaches on a machine that does nothing else."""

_PACKAGES = ("torch", "openvino", "nncf", "av", "numpy")
_LOWER_IS_BETTER = ("s", "MB", "relative")
_HIGHER_IS_BETTER = ("clips/s", "GFLOP/s", "cosine")


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Parameters
    ----------
    what: what was measured: ``"network"``, ``"end to end"``, ``"matmul"``, ``"error layer4"``...
    value: the median over the runs.
    unit: ``"clips/s"``, ``"GFLOP/s"``, ``"s"``, ``"MB"`` (1e6 bytes), ``"relative"`` (L2 error),
        ``"cosine"``, ``"times"`` (a ratio).
    way: how it was computed: ``"plain, batch 1"``, ``"bfloat16 torch"``; "" where there is no
        choice.
    video: the video's name, "" where none is involved.
    best: the same of the fastest run, None where there was one run or none is best.
    runs: how many runs the value is the median of.
    """

    what: str
    value: float
    unit: str
    way: str = ""
    video: str = ""
    best: float | None = None
    runs: int = 1

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it comparable with a figure of another run."""
        return self.what, self.way, self.video, self.unit

    @property
    def higher_is_better(self) -> bool | None:
        """None for units that are neither good nor bad."""
        if self.unit in _HIGHER_IS_BETTER:
            return True
        return False if self.unit in _LOWER_IS_BETTER else None


def rate_figure(what: str, timing: Timing, *, unit: str, way: str = "", video: str = "") -> Figure:
    """Return the figure of a rate."""
    runs = len(timing.seconds)
    return Figure(what, timing.rate, unit, way, video, timing.best_rate, runs)


def seconds_figure(what: str, timing: Timing, *, way: str = "", video: str = "") -> Figure:
    """Return the figure of a duration."""
    runs = len(timing.seconds)
    median, best = statistics.median(timing.seconds), min(timing.seconds)
    return Figure(what, median, "s", way, video, best, runs)


@dataclass(frozen=True)
class Record:
    """One run: when, with what, on what, and every figure.

    Parameters
    ----------
    setup: model and options, so that only like is compared with like.
    machine: what :func:`machine` gave.
    figures: in the order of measuring.
    not_served: way -> why this machine or installation cannot compute it.
    recommendation: the way to take, None where none was asked for.
    date: UTC, ISO 8601.
    version: of c3dhub. commit: of its checkout, None for an installed package.
    """

    setup: Mapping[str, Any]
    machine: Mapping[str, Any]
    figures: tuple[Figure, ...]
    not_served: Mapping[str, str] = field(default_factory=dict)
    recommendation: str | None = None
    date: str = ""
    version: str = __version__
    commit: str | None = None
    schema: int = SCHEMA

    def get(self, what: str, *, way: str = "", video: str = "", unit: str = "") -> Figure | None:
        """Return a figure, or None where it was not measured; ``unit`` "" takes any."""
        for figure in self.figures:
            same = (figure.what, figure.way, figure.video) == (what, way, video)
            if same and unit in ("", figure.unit):
                return figure
        return None

    @property
    def disturbance(self) -> str | None:
        """Say so where the runs of a rate differ much: something else used the machine."""
        ratios = {f.value / f.best: f for f in self.figures if f.best and f.higher_is_better}
        if not ratios or min(ratios) >= STEADY:
            return None
        worst = ratios[min(ratios)]
        name = " ".join(part for part in (worst.what, worst.way, worst.video) if part)
        return (
            f"the runs differ: the median of {name} is {min(ratios):.0%} of the best. Something "
            "else used the machine; measure again when it is idle"
        )

    def to_json(self) -> str:
        """Return one line of JSON without its line break."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Read what :meth:`to_json` gave. Raises ValueError for anything else."""
        try:
            data = json.loads(line)
            schema = data.pop("schema")
            if schema != SCHEMA:
                raise ValueError(f"it has schema {schema!r}; this c3dhub reads {SCHEMA}")
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
    recommendation: str | None = None,
) -> Record:
    """Return a record of now, of this machine and of this version."""
    return Record(
        setup=setup,
        machine=machine(device),
        figures=tuple(figures),
        not_served=not_served,
        recommendation=recommendation,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        commit=_commit(),
    )


def machine(device: str) -> dict[str, Any]:
    """Describe the machine: processor, cores this process may use, system, versions, device."""
    return {
        "cpu": _cpu_name(),
        "cores": _cores(),
        "device": device,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine() or "unknown"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of this package's checkout, with "-dirty" where it was changed."""
    root = Path(__file__).resolve().parent.parent.parent
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
