"""What ``c3dhub bench`` prints for people."""

from __future__ import annotations

from ..messages import aligned
from .figures import Figure, Measured
from .one_model import LEAST_COSINE


def report(found: Measured) -> list[str]:
    """Return the lines."""
    refused = [f"not here: {way}: {reason}" for way, reason in found.not_served.items()]
    return [
        *_heading(found),
        "",
        *_speed_table(found),
        *_accuracy_table(found),
        *(["", *refused] if refused else []),
        *(["", found.disturbance] if found.disturbance else []),
        "",
        *_recommendation(found),
    ]


def _heading(found: Measured) -> list[str]:
    setup, machine = found.setup, found.machine
    frames, side, _ = setup["clip"]
    peaks = [f"{way} {value:.0f} GFLOP/s" for way, value in found.by_way("matmul").items()]
    return [
        f"{setup['model']}: clips of {frames}x{side}x{side}, {setup['gflop_per_clip']:.1f} GFLOP "
        f"each; on {machine['device']}, {machine['cpu']}, {machine['cores']} cores",
        f"matrix product: {', '.join(peaks)}",
    ]


def _speed_table(found: Measured) -> list[str]:
    video, gflop = found.setup["video"], found.setup["gflop_per_clip"]
    networks = [f for f in found.figures if f.what == "network"]
    whole = {way: number(rate) for way, rate in found.by_way("end to end").items()}
    rows = [["precision", "engine", "network clips/s", "x plain", "GFLOP/s"]]
    rows[0].append("end to end clips/s" if video else "")
    for f in networks:
        speed = [number(f.value), times(f, networks[0]), f"{f.value * gflop:.0f}"]
        rows.append([*f.way.split(" "), *speed, whole.get(f.way, "")])
    alone = found.by_way("decode").values()
    return aligned(rows) + [
        f"decoding and preprocessing {video} alone: {number(rate)} clips/s" for rate in alone
    ]


def _accuracy_table(found: Measured) -> list[str]:
    """Return the errors of every stage; nothing where only the pooled features were compared."""
    means = [f for f in found.figures if f.what.startswith("error ") and f.what.endswith(", mean")]
    if len({f.what for f in means}) < 2:
        return []
    rows = [["precision", "engine", "stage", "error mean", "worst", "cosine mean", "worst"]]
    for figure in means:
        stage = figure.what.removeprefix("error ").removesuffix(", mean")
        cells = [
            form.format(found.by_way(f"{what} {stage}, {kind}")[figure.way])
            for what, form in (("error", "{:.2e}"), ("cosine", "{:.6f}"))
            for kind in ("mean", "worst")
        ]
        rows.append([*figure.way.split(" "), stage, *cells])
    return [
        "",
        f"against the plain network in float32, on {found.setup['error_clips']} clips of "
        f"{found.setup['video']}, pooled; error: relative L2",
        *aligned(rows, left=3),
    ]


def _recommendation(found: Measured) -> list[str]:
    way, video = found.recommendation, found.setup["video"]
    assert way is not None
    rates = found.by_way("end to end" if video else "network")
    precision, engine = way.split(" ")
    where = f"{found.setup['error_clips']} clips of {video}" if video else "generated clips"
    lines = [
        f"recommended: precision={precision!r}, engine={engine!r}: {number(rates[way])} clips/s "
        f"{'end to end' if video else 'in the network'}, {rates[way] / rates['float32 torch']:.2f} "
        "times float32; worst cosine of the pooled features "
        f"{found.by_way('cosine avgpool, worst')[way]:.5f} on {where} "
        f"(at least {LEAST_COSINE} is asked for)"
    ]
    if not video:
        lines.append("a VIDEO would show decoding, the whole job, and errors that mean something")
    return lines


def number(value: float) -> str:
    """Return about three digits: 0.123, 12.3, 1234."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def times(figure: Figure, base: Figure) -> str:
    """Return figure over base: of the medians and, in brackets, of the fastest runs."""
    median = f"{figure.value / base.value:.2f}"
    if figure.best is None or base.best is None or figure.runs == 1:
        return median
    return f"{median} ({figure.best / base.best:.2f})"
