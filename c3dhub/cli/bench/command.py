"""``c3dhub bench``: how fast a model runs on this machine, and which precision to take."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .record import Figure, Record

_DESCRIPTION = """\
Measure a model on this machine in every precision and engine that the installation serves, in
turn, and recommend one. With a VIDEO also decoding alone and everything together. It takes about
a minute; run it on an idle machine."""


def add_parsers(subparsers: Any) -> None:
    """Register ``bench``."""
    bench = subparsers.add_parser(
        "bench",
        help="speed and exactness of each precision on this machine",
        description=_DESCRIPTION,
        epilog="example: c3dhub bench match.mp4 --model resnet50_kinetics --accuracy",
    )
    bench.add_argument("video", nargs="?", metavar="VIDEO", help="footage like yours")
    bench.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help="a name of `c3dhub list`, hf://org/repo@revision, or a folder that c3dhub wrote",
    )
    bench.add_argument(
        "--random-weights",
        action="store_true",
        help="NAME is an architecture, given random weights (seed 0): as fast as trained ones, "
        "but its errors are not theirs",
    )
    bench.add_argument(
        "--accuracy",
        action="store_true",
        help="also what each form loses in every stage, on VIDEO, against float32",
    )
    bench.add_argument(
        "--repeats", type=int, default=5, metavar="N", help="rounds at most (default: 5)"
    )
    bench.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1 (default: the best)")
    bench.add_argument("--offline", action="store_true", help="never touch the network")
    bench.add_argument(
        "--json", action="store_true", help="print one line of JSON, as benchmarks/ keeps them"
    )
    bench.add_argument("--quiet", action="store_true", help="no progress on stderr")
    bench.set_defaults(run=run_bench)


def run_bench(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.accuracy and args.video is None:
        raise ValueError("--accuracy needs a VIDEO: errors on anything but footage mean nothing")
    if args.repeats < 1:
        raise ValueError(f"--repeats is {args.repeats}; it must be at least 1")
    from ...video import open_video
    from .forms import load_plain
    from .short import short_benchmark

    if args.video is not None:
        open_video(args.video).close()  # before weights are fetched
    network = load_plain(
        args.model, random_weights=args.random_weights, device=args.device, offline=args.offline
    )
    record = short_benchmark(
        network,
        video=args.video,
        accuracy=args.accuracy,
        repeats=args.repeats,
        say=_quiet if args.quiet else _say,
    )
    print(record.to_json() if args.json else "\n".join(report(record)))
    return 0


def report(record: Record) -> list[str]:
    """Return the lines for people."""
    return [
        *_heading(record),
        "",
        *_speed_table(record),
        *_accuracy_table(record),
        *_not_served(record),
        *(["", record.disturbance] if record.disturbance else []),
        "",
        *_recommendation(record),
    ]


def _heading(record: Record) -> list[str]:
    setup, machine = record.setup, record.machine
    frames, side, _ = setup["clip"]
    peaks = [
        f"{f.way} {f.value:.0f} GFLOP/s" for f in record.figures if f.what == "matmul"
    ]  # fmt: skip
    return [
        f"{setup['model']}: clips of {frames}x{side}x{side}, {setup['gflop_per_clip']:.1f} GFLOP "
        f"each; on {machine['device']}, {machine['cpu']}, {machine['cores']} cores",
        f"matrix product: {', '.join(peaks)}",
    ]


def _speed_table(record: Record) -> list[str]:
    video = record.setup["video"]
    networks = [f for f in record.figures if f.what == "network"]
    plain = networks[0]
    rows = [["precision", "engine", "network clips/s", "x plain", "GFLOP/s"]]
    if video:
        rows[0].append("end to end clips/s")
    for figure in networks:
        gflops = figure.value * record.setup["gflop_per_clip"]
        row = [*figure.way.split(" "), _short(figure.value), _times(figure, plain)]
        row.append(f"{gflops:.0f}")
        if video:
            whole = record.get("end to end", way=figure.way, video=video)
            row.append("" if whole is None else _short(whole.value))
        rows.append(row)
    lines = aligned(rows)
    decode = record.get("decode", video=video)
    if decode is not None:
        lines.append(f"decoding and preprocessing {video} alone: {_short(decode.value)} clips/s")
    return lines


def _times(figure: Figure, base: Figure) -> str:
    """Return the ratio of the medians and, in brackets, of the fastest runs."""
    median = f"{figure.value / base.value:.2f}"
    if figure.best is None or base.best is None or figure.runs == 1:
        return median
    return f"{median} ({figure.best / base.best:.2f})"


def _accuracy_table(record: Record) -> list[str]:
    video = record.setup["video"]
    stages = [
        f.what.removeprefix("error ").removesuffix(", mean")
        for f in record.figures
        if f.what.startswith("error ") and f.what.endswith(", mean")
    ]
    stages = list(dict.fromkeys(stages))
    if len(stages) < 2:
        return []
    rows = [["precision", "engine", "stage", "error mean", "worst", "cosine mean", "worst"]]
    for way in dict.fromkeys(f.way for f in record.figures if f.what.startswith("error ")):
        for stage in stages:
            rows.append([*way.split(" "), stage, *_errors(record, stage, way, video)])
    return [
        "",
        f"against the plain network in float32, on {record.setup['error_clips']} clips of {video}, "
        "pooled; error: relative L2",
        *aligned(rows, left=3),
    ]


def _errors(record: Record, stage: str, way: str, video: str) -> list[str]:
    cells = []
    for what, form in (("error", "{:.2e}"), ("cosine", "{:.6f}")):
        for kind in ("mean", "worst"):
            figure = record.get(f"{what} {stage}, {kind}", way=way, video=video)
            cells.append("" if figure is None else form.format(figure.value))
    return cells


def _not_served(record: Record) -> list[str]:
    if not record.not_served:
        return []
    return ["", *(f"not here: {way}: {reason}" for way, reason in record.not_served.items())]


def _recommendation(record: Record) -> list[str]:
    from .recommend import LEAST_COSINE

    way = record.recommendation
    assert way is not None
    video = record.setup["video"]
    what = "end to end" if video else "network"
    rate = record.get(what, way=way, video=video if video else "")
    base = record.get(what, way="float32 torch", video=video if video else "")
    cosine = record.get("cosine avgpool, worst", way=way, video=video)
    assert rate is not None
    assert base is not None
    assert cosine is not None
    precision, engine = way.split(" ")
    where = f"{record.setup['error_clips']} clips of {video}" if video else "generated clips"
    lines = [
        f"recommended: precision={precision!r}, engine={engine!r}: {_short(rate.value)} clips/s "
        f"{'end to end' if video else 'in the network'}, {rate.value / base.value:.2f} times "
        f"float32; worst cosine of the pooled features {cosine.value:.5f} on {where} "
        f"(at least {LEAST_COSINE} is asked for)"
    ]
    if not video:
        lines.append("a VIDEO would show decoding, the whole job, and errors that mean something")
    return lines


def aligned(rows: Sequence[Sequence[str]], *, left: int = 2) -> list[str]:
    """Return lines of equally wide columns, the first ``left`` of them aligned to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _short(value: float) -> str:
    """Return about three digits: 0.123, 12.3, 1234."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _say(text: str) -> None:
    print(f"c3dhub: bench: {text}", file=sys.stderr)


def _quiet(text: str) -> None:
    pass
