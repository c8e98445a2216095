"""Trains the same model again and again, killed at other moments; run by test_finetune_resume.py.

    python killed_training.py DATA MODEL FOLDER POINT ...

First a run is left alone, in FOLDER/whole. Then for each POINT a run of its own is killed by
SIGKILL at that event (a step, or a file or folder about to be flushed, moved or removed), begun
again and, with a second number after a comma, killed again. Each child is a real process. The
number of events of the run left alone is printed, and then each point with how often it was killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import c3dhub
from c3dhub.learning.training import learner

events = 0


def count_events(kill_at: int) -> None:
    """Wrap everything that changes files or weights; the process dies at event ``kill_at``."""

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            global events
            events += 1
            if events == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*args, **options)

        return wrapped

    os.fsync = counted(os.fsync)
    shutil.rmtree = counted(shutil.rmtree)  # type: ignore[assignment]
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    Path.mkdir = counted(Path.mkdir)  # type: ignore[method-assign]
    Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]
    learner.Learner.update = counted(learner.Learner.update)  # type: ignore[method-assign]


def train(data: str, model: str, output: Path, *, kill_at: int, note: Path) -> int:
    """Train in a process of its own and return its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        count_events(kill_at)
        c3dhub.finetune(
            data,
            model=model,
            output=output,
            hold_out=0.34,
            epochs=2,
            batch_size=2,
            micro_batch=2,
            lr=0.02,
            begin_at="layer4",
            save_every=1,
            device="cpu",
        )
        note.write_text(str(events))
        os._exit(0)
    finally:
        os._exit(3)


def main() -> None:
    """Run what the command line says."""
    torch.set_num_threads(1)
    # Once here, where nothing has run yet, rather than in each child: it takes seconds.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    data, model, folder, *points = sys.argv[1:]
    note = Path(folder) / "events"
    if train(data, model, Path(folder) / "whole", kill_at=0, note=note):
        raise SystemExit("the run that was left alone failed")
    total = int(note.read_text())
    sys.stdout.write(f"{total}\n")
    for point in points:
        moments = [round(float(share) * total) for share in point.split(",")]
        output, killed = Path(folder) / point, 0
        for moment in [*moments, 0]:
            code = train(data, model, output, kill_at=moment, note=note)
            if code not in (0, -signal.SIGKILL):
                raise SystemExit(f"a process ended with {code}, killed at {moment}")
            killed += code != 0
        sys.stdout.write(f"{point} {killed}\n")


if __name__ == "__main__":
    main()
