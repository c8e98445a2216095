"""Several processes that torchrun starts train as one does."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file
from training_data import tiny_network, write_model, write_videos

from c3dhub.cli import main
from c3dhub.learning.datasets import read_dataset, training_batches
from c3dhub.learning.training.distributed import Processes

OPTIONS = (
    "--hold-out", "0.34", "--epochs", "2", "--batch-size", "6", "--micro-batch", "2", "--lr",
    "0.02", "--workers", "0", "--device", "cpu", "--begin-at", "layer3", "--clips-per-video", "2",
)  # fmt: skip


def _arguments(data: Path, model: Path, output: Path) -> list[str]:
    return ["finetune", str(data), "--model", str(model), "-o", str(output), *OPTIONS]


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    data = write_videos(tmp_path / "colours", each=3)
    model = write_model(tmp_path / "model")
    assert main(_arguments(data, model, tmp_path / "one")) == 0
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *torchrun, "-m", "c3dhub", *_arguments(data, model, tmp_path / "two")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("kept: epoch") == 1  # one process speaks
    assert done.stderr.count("train loss") == 1
    one, two = _rows(tmp_path / "one"), _rows(tmp_path / "two")
    assert len(one) == len(two) == 2
    for ours, theirs in zip(one, two, strict=True):
        for name in ("train_loss", "val_loss"):
            assert float(theirs[name]) == pytest.approx(float(ours[name]), rel=1e-4, abs=1e-4)
        for name in ("step", "clips", "lr", "train_accuracy", "val_accuracy"):
            assert theirs[name] == ours[name]
    weights, same = (load_file(tmp_path / n / "model.safetensors") for n in ("one", "two"))
    for name, value in weights.items():
        torch.testing.assert_close(same[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_whole_batches_are_dealt_out_in_turn(tmp_path: Path) -> None:
    videos = read_dataset(write_videos(tmp_path / "colours", each=3))
    network = tiny_network(width=8)

    def positions(deal: Literal["batches"], first: int, rank: int, count: int) -> list[list[int]]:
        batches = training_batches(
            videos, contract=network.config.input, clip_len=2, batch_size=2, seed=3, epoch=1,
            first=first, rank=rank, world_size=count, deal=deal,
        )  # fmt: skip
        return [batch.positions.tolist() for batch in batches]

    whole = positions("batches", 0, 0, 1)
    assert [len(batch) for batch in whole] == [2, 2, 2, 2, 1]
    for first in range(5):
        for rank in range(3):
            mine = [whole[n] for n in range(first, 5) if n % 3 == rank]
            assert positions("batches", first, rank, 3) == mine
    with pytest.raises(ValueError, match="deal is 'cards'"):
        positions("cards", 0, 0, 1)  # type: ignore[arg-type]


def test_one_process_alone_keeps_everything_to_itself() -> None:
    alone = Processes(0, 1, torch.device("cpu"))
    numbers = torch.ones(2)
    assert alone.leads
    assert torch.equal(alone.add_up(numbers), torch.ones(2))
    assert alone.from_leader("x") == "x"
    assert alone.gather("x") == ["x"]
    with pytest.raises(ValueError, match="no"):
        alone.lead(lambda: int("no"))


def test_a_group_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.distributed as dist

    from c3dhub.learning.training.distributed import joined

    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())  # type: ignore[attr-defined]
    try:
        with joined("cpu") as processes:
            assert (processes.rank, processes.count) == (0, 1)
        assert dist.is_initialized()
    finally:
        dist.destroy_process_group()
