"""The examples run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from make_video import write_video

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_similar_moments_prints_pairs_with_their_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 80, fps=16)
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "similar_moments.py"), str(path), "resnet10"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(EXAMPLES.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "random weights" in lines[0]
    assert len(lines) == 6
    assert all(-1 <= float(line.split()[0]) <= 1.0001 for line in lines[1:])
