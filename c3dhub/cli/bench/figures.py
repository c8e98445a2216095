"""What a benchmark finds out: figures, and about what model and machine. Standard library only."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...base.version import __version__
from ..arguments import cores
from .timing import Key, Timing

STEADY = 0.85
"""Share of the best run that the median reaches on a machine that does nothing else."""


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Parameters
    ----------
    what: what was measured: ``"network"``, ``"end to end"``, ``"matmul"``, ``"error layer4"``...
    value: the median over the runs.
    unit: ``"clips/s"``, ``"GFLOP/s"``, ``"s"``, ``"MB"`` (1e6 bytes), ``"relative"`` (L2 error),
        ``"cosine"``, ``"times"`` (a ratio).
    way: how it was computed: ``"float32 plain"``, ``"bfloat16 torch"``; "" where there is no
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


def rate_figures(found: Mapping[Key, Timing], *, video: str = "") -> list[Figure]:
    """Return the rate of every candidate: GFLOP per second of "matmul", else clips per second."""
    return [
        Figure(
            what,
            timing.rate,
            "GFLOP/s" if what == "matmul" else "clips/s",
            way,
            video,
            timing.best_rate,
            len(timing.seconds),
        )
        for (what, way), timing in found.items()
    ]


@dataclass(frozen=True)
class Measured:
    """Every figure of one run, and what they are about.

    Parameters
    ----------
    setup: model and options, so that only like is compared with like.
    machine: what :func:`machine` gave.
    figures: in the order of measuring.
    not_served: way -> why this machine or installation cannot compute it.
    recommendation: the way to take, None where none was asked for.
    version: of c3dhub. schema: of the JSON.
    """

    setup: Mapping[str, Any]
    machine: Mapping[str, Any]
    figures: tuple[Figure, ...]
    not_served: Mapping[str, str] = field(default_factory=dict)
    recommendation: str | None = None
    version: str = __version__
    schema: int = 1

    def by_way(self, what: str) -> dict[str, float]:
        """Return way -> value of what was measured on no video or on one."""
        return {figure.way: figure.value for figure in self.figures if figure.what == what}

    @property
    def disturbance(self) -> str | None:
        """Say so where the runs of a rate differ much: something else used the machine."""
        ratios = {f.value / f.best: f for f in self.figures if f.best and f.unit.endswith("/s")}
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


def machine(device: str) -> dict[str, Any]:
    """Describe the machine: processor, cores this process may use, device."""
    return {"cpu": _cpu_name(), "cores": cores(), "device": device}


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine() or "unknown"
