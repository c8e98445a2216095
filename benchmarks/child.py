"""One whole job in a process of its own: start, load, extract. ``run.py`` starts it.

Prints one line of JSON: {"clips": 562, "memory_mb": 612.3}.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main() -> None:
    """Do the job that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", required=True, help="'plain, batch 1' or 'PRECISION ENGINE'")
    parser.add_argument("--model", required=True)
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--device")
    parser.add_argument("--video", required=True)
    parser.add_argument("--seconds", type=float, help="of the video; default: all")
    args = parser.parse_args()
    print(json.dumps({"clips": _extract(args), "memory_mb": peak_memory_mb()}))


def _extract(args: argparse.Namespace) -> int:
    """Return the number of clips. Each way imports its own: imports take time and memory, too."""
    from c3dhub.cli.bench.forms import make_form
    from c3dhub.cli.loading import load_plain

    network = load_plain(args.model, random_weights=args.random_weights, device=args.device)
    if args.way.startswith("plain"):
        import baseline

        return len(baseline.features(Path(args.video), network=network, seconds=args.seconds))
    from c3dhub import extract_features
    from c3dhub.cli.bench.workloads import end_after

    precision, engine = args.way.split(" ")
    form = make_form(network, precision=precision, engine=engine)
    end = None if args.seconds is None else end_after(args.video, seconds=args.seconds)
    return len(extract_features(args.video, model=form, end=end))


def peak_memory_mb() -> float | None:
    """Return the most memory this process ever had, in 1e6 bytes; None where nobody tells."""
    try:
        # On Linux getrusage would count the process that started this one, too.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    except (OSError, IndexError):
        return _from_getrusage()


def _from_getrusage() -> float | None:
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
