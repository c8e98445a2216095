"""One table of one record: a line for each way, and what belongs to none below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from history import Record
from measure import OVERHEAD, PLAIN, PLAIN_BATCHED, SHORT_TO_LONG

from c3dhub.cli.bench.figures import Figure
from c3dhub.cli.bench.report import number, times
from c3dhub.cli.messages import aligned

Column = tuple[str, list[str]]


def render(record: Record) -> str:
    """Return the text that ``run.py`` prints."""
    lines = [*_heading(record), "", *_table(record), "", *_below(record)]
    return "\n".join(lines)


def _heading(record: Record) -> list[str]:
    setup, machine = record.setup, record.machine
    packages = [f"{name} {v}" for name, v in machine["packages"].items() if v is not None]
    commit = f" ({record.commit})" if record.commit else ""
    frames, side, _ = setup["clip"]
    weights = "random weights" if setup["random_weights"] else "its weights"
    return [
        f"c3dhub {record.version}{commit}, {record.date}",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['device']}; {', '.join(packages)}",
        f"{setup['model']} with {weights}: clips of {frames}x{side}x{side}, "
        f"{setup['gflop_per_clip']:.1f} GFLOP each",
    ]


def _table(record: Record) -> list[str]:
    ways = [f.way for f in record.figures if f.what == "network"]
    videos: Sequence[str] = record.setup["videos"]
    columns: list[Column] = [("way", ways), *_network_columns(record, ways)]
    for video in videos:
        columns += _video_columns(record, ways, video)
    columns += _first_video_columns(record, ways, videos[0])
    return _lines([column for column in columns if any(column[1])])


def _get(record: Record, ways: Sequence[str], what: str, video: str = "") -> list[Figure | None]:
    return [record.get(what, way=way, video=video) for way in ways]


def _network_columns(record: Record, ways: Sequence[str]) -> list[Column]:
    found = _get(record, ways, "network")
    base = record.get("network", way=PLAIN)
    gflop = record.setup["gflop_per_clip"]
    return [
        ("network clips/s", _cells(found, number)),
        ("x", [_times(f, base) for f in found]),
        ("GFLOP/s", _cells(found, lambda rate: f"{rate * gflop:.0f}")),
        ("of matmul", [_share(record, f) for f in found if f is not None]),
    ]


def _share(record: Record, figure: Figure) -> str:
    """Return the network's share of the matrix product's rate in the same precision."""
    plain = figure.way in (PLAIN, PLAIN_BATCHED)
    peak = record.get("matmul", way="float32" if plain else figure.way.split(" ")[0])
    if peak is None:
        return ""
    return f"{figure.value * record.setup['gflop_per_clip'] / peak.value:.0%}"


def _video_columns(record: Record, ways: Sequence[str], video: str) -> list[Column]:
    found = _get(record, ways, "end to end", video)
    base = record.get("end to end", way=PLAIN, video=video)
    return [
        (f"{video} clips/s", _cells(found, number)),
        ("x", [_times(f, base) for f in found]),
        ("/(d+n)", _cells(_get(record, ways, OVERHEAD, video), "{:.2f}".format)),
    ]


def _first_video_columns(record: Record, ways: Sequence[str], video: str) -> list[Column]:
    """Return what is measured on the first video alone: whole processes, and errors."""
    found = _get(record, ways, "whole process", video)
    base = record.get("whole process", way=PLAIN, video=video)
    worst = _get(record, ways, "error avgpool, worst", video)
    cosine = _get(record, ways, "cosine avgpool, worst", video)
    return [
        ("process s", _cells(found, number)),
        ("x", [_times(base, f) for f in found]),
        ("MB", _cells(_get(record, ways, "memory", video), "{:.0f}".format)),
        ("error", _cells(worst, "{:.1e}".format)),
        ("cosine", _cells(cosine, "{:.5f}".format)),
    ]


def _cells(figures: Sequence[Figure | None], form: Callable[[float], str]) -> list[str]:
    return ["" if figure is None else form(figure.value) for figure in figures]


def _times(figure: Figure | None, base: Figure | None) -> str:
    return "" if figure is None or base is None else times(figure, base)


def _below(record: Record) -> list[str]:
    lines = [
        f"matrix product {record.setup['matmul_size']} square, {f.way}: {f.value:.0f} GFLOP/s"
        for f in record.figures
        if f.what == "matmul"
    ]
    for figure in record.figures:
        if figure.what == "decode":
            rate = number(figure.value)
            lines.append(f"decode and preprocess {figure.video} alone: {rate} clips/s")
        elif figure.what == SHORT_TO_LONG:
            lines.append(_short_line(record, figure))
    lines += [f"not here: {way}: {reason}" for way, reason in record.not_served.items()]
    lines += [record.disturbance] if record.disturbance else []
    return [*lines, "", *_legend(record)]


def _short_line(record: Record, ratio: Figure) -> str:
    setup = record.setup
    found = [
        record.get(what, way=ratio.way, video=ratio.video)
        for what in ("short videos", "one long video")
    ]
    short, long = _cells(found, number)
    return (
        f"{ratio.way}, up to {setup['pieces']} videos of {setup['piece_seconds']:g} s: "
        f"{short} clips/s, the same frames in one video {long} clips/s: "
        f"{ratio.value:.0%}"
    )


def _legend(record: Record) -> list[str]:
    setup = record.setup
    return [
        f"x: times {PLAIN}, of the medians (of the fastest runs); {PLAIN_BATCHED}: "
        f"{setup['batch']} clips at once; the forms: as many as extract_features takes",
        f"VIDEO clips/s: end to end on its first {setup['seconds']:g} s, everything ready; "
        "/(d+n): its time over decoding alone + network alone",
        f"process s: start to end of a process, on {setup['videos'][0]}; MB: its peak memory; "
        "error, cosine: worst clip, pooled",
    ]


def _lines(columns: Sequence[Column]) -> list[str]:
    """Return the table's lines; two-word headings take two lines."""
    cells = [[*_two_lines(heading), *values] for heading, values in columns]
    return aligned(list(zip(*cells, strict=True)), left=1)


def _two_lines(heading: str) -> tuple[str, str]:
    top, _, bottom = heading.rpartition(" ")
    return top, bottom
