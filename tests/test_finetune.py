"""Fine-tuning from the outside: what is learned, what stays as it is, what is left on disk."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_data import CLASSES, tiny_network, write_model, write_videos

import c3dhub
from c3dhub.learning.datasets import Augmentation, VideoList, read_dataset
from c3dhub.learning.training import FinetuneResult

QUICK: dict[str, Any] = {"batch_size": 4, "micro_batch": 2, "lr": 0.02}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> VideoList:
    return read_dataset(write_videos(tmp_path_factory.mktemp("data") / "colours", each=2))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def finished(
    data: VideoList, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> FinetuneResult:
    """Return a run from layer4 on that has seen its videos, which also validate it, a few times."""
    lines: list[str] = []
    return c3dhub.finetune(
        data,
        model=model,
        output=tmp_path_factory.mktemp("run"),
        hold_out=0,
        epochs=6,
        report=lines.append,
        **QUICK,
    )


def test_a_handful_of_videos_is_learned_by_heart(finished: FinetuneResult) -> None:
    assert finished.history[-1].train_accuracy == 1
    assert finished.history[-1].train_loss < finished.history[0].train_loss / 10
    assert [row.epoch for row in finished.history] == [1, 2, 3, 4, 5, 6]
    assert finished.history[-1].step == 6 * 2
    assert finished.history[-1].clips == 6 * 6
    assert finished.best == finished.history[-1]  # without validation the last one is kept


def test_the_folder_loads_with_its_class_names(finished: FinetuneResult) -> None:
    network = c3dhub.load(finished.folder, device="cpu")
    assert network.classes == CLASSES == finished.classes
    assert network.num_classes == 3
    assert not network.training
    assert network.config.name == "resnet10_finetuned"
    assert network.config.clip_len == 8
    provenance = network.config.provenance
    assert provenance is not None
    assert provenance["base"]["name"] == "resnet10"
    assert provenance["recipe"]["begin_at"] == "layer4"
    assert provenance["data"]["videos"] == 6


def test_the_result_names_what_is_in_a_video(finished: FinetuneResult, data: VideoList) -> None:
    network = finished.load(device="cpu")
    for item in data.items:
        (top,) = c3dhub.classify(item.path, model=network, topk=1)
        assert top["label"] == data.classes[item.label]


def test_the_result_can_be_saved_and_published_again(
    finished: FinetuneResult, tmp_path: Path
) -> None:
    from c3dhub.networks.model_card import model_card

    network = finished.load(device="cpu")
    again = c3dhub.load(network.save_pretrained(tmp_path / "copy"), device="cpu")
    assert again.config == network.config
    assert again.classes == CLASSES
    card = str(model_card(network, "me/mine"))
    assert "resnet10_finetuned" in card
    assert '"begin_at": "layer4"' in card


def test_frozen_layers_and_their_statistics_stay_bit_by_bit(
    finished: FinetuneResult, model: Path
) -> None:
    before = load_file(model / "model.safetensors")
    after = load_file(finished.folder / "model.safetensors")
    for name, value in after.items():
        if name.startswith("fc."):
            continue
        assert torch.equal(value, before[name]) != name.startswith("layer4."), name


def test_the_last_checkpoint_is_a_model_with_its_momentum(finished: FinetuneResult) -> None:
    assert finished.last.name == "000012"
    assert c3dhub.load(finished.last, device="cpu").classes == CLASSES
    momentum = load_file(finished.last / "momentum.safetensors")
    network = finished.load(device="cpu")
    trained = [n for n, _ in network.named_parameters() if n.startswith(("layer4.", "fc."))]
    assert sorted(momentum) == sorted(trained)


def test_the_log_has_a_row_for_each_epoch(finished: FinetuneResult) -> None:
    with (finished.folder / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch", "step", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy",
        "clips", "seconds",
    ]  # fmt: skip
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert float(rows[2]["train_loss"]) == pytest.approx(finished.history[2].train_loss, rel=1e-6)
    assert rows[0]["val_loss"] == ""


def test_a_finished_run_says_so_and_does_nothing(
    finished: FinetuneResult, data: VideoList, model: Path
) -> None:
    files = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*")}
    lines: list[str] = []
    again = c3dhub.finetune(
        data,
        model=model,
        output=finished.folder,
        hold_out=0,
        epochs=6,
        report=lines.append,
        **QUICK,
    )
    assert again.was_finished
    assert not finished.was_finished
    assert again.history == finished.history
    assert "finished" in lines[0]
    assert {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*")} == files


def test_validation_chooses_the_epoch_that_is_kept(
    data: VideoList, model: Path, tmp_path: Path
) -> None:
    result = c3dhub.finetune(
        data,
        model=model,
        output=tmp_path / "run",
        hold_out=0.5,
        epochs=3,
        schedule="cosine",
        clips_per_video=2,
        augmentation=Augmentation(flip=0),
        **QUICK,
    )
    rows = result.history
    assert all(row.val_loss is not None for row in rows)
    assert result.best == max(rows, key=lambda row: (row.val_accuracy, -(row.val_loss or 0)))
    assert rows[0].clips == 6  # 3 of 6 videos, 2 clips of each
    assert rows[0].lr > rows[1].lr > rows[2].lr > 0


def test_scratch_trains_everything_from_an_architecture(data: VideoList, tmp_path: Path) -> None:
    base = tiny_network(width=8)
    result = c3dhub.finetune(
        data, model=base, scratch=True, output=tmp_path / "run", hold_out=0, epochs=1,
        batch_size=4, precision="bfloat16", label_smoothing=0.1, augmentation=None,
    )  # fmt: skip
    assert result.recipe.lr == 0.1
    assert result.recipe.begin_at == "stem"
    network = result.load(device="cpu")
    assert network.config.name == "resnet10_scratch"
    assert not torch.equal(network.state_dict()["bn1.running_mean"], torch.zeros(8))
    assert base.num_classes == 5  # the caller's network is left alone
    assert not base.training


def test_a_head_for_the_same_classes_is_kept(finished: FinetuneResult) -> None:
    from c3dhub.learning.training.prepare import prepare_network

    kept = prepare_network(finished.folder, classes=CLASSES, scratch=False, seed=1).network
    fresh = prepare_network(finished.folder, classes=("a", "b"), scratch=False, seed=1).network
    head = load_file(finished.folder / "model.safetensors")["fc.weight"]
    assert torch.equal(kept.state_dict()["fc.weight"], head)
    assert kept.config.name == "resnet10_finetuned"
    assert fresh.state_dict()["fc.weight"].shape == (2, 64)


def test_the_callers_random_numbers_are_left_alone(
    data: VideoList, model: Path, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    c3dhub.finetune(
        data, model=model, output=tmp_path / "run", hold_out=0, epochs=1, begin_at="fc", **QUICK
    )
    assert torch.equal(torch.rand(1), expected)


def test_a_broken_video_is_named_and_left_out(data: VideoList, model: Path, tmp_path: Path) -> None:
    folder = write_videos(tmp_path / "data", each=1)
    broken = folder / "red" / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.warns(UserWarning, match=r"broken\.mp4.*training goes on without it"):
        result = c3dhub.finetune(
            folder, model=model, output=tmp_path / "run", val=data, epochs=1, **QUICK
        )
    assert result.history[-1].clips == 3
    assert [path for path, _ in result.broken] == [str(broken)]


def test_nothing_but_broken_videos_is_an_error(model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "x.mp4").write_bytes(b"no video")
    with pytest.raises(c3dhub.TrainingError, match="none of the 2 training videos"):
        c3dhub.finetune(
            tmp_path / "data", model=model, output=tmp_path / "run", hold_out=0,
            report=lambda text: None, **QUICK,
        )  # fmt: skip


def test_training_that_diverges_stops_with_the_last_good_checkpoint(
    data: VideoList, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(c3dhub.TrainingError, match="diverged") as caught:
        c3dhub.finetune(
            data, model=model, output=tmp_path / "run", hold_out=0, epochs=9, save_every=1,
            batch_size=4, micro_batch=2, lr=1e18, begin_at="layer4",
        )  # fmt: skip
    (last,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert str(last) in str(caught.value)
    assert "lower lr" in str(caught.value)
    for name, value in load_file(last / "model.safetensors").items():
        assert torch.isfinite(value).all(), name


def test_the_rate_falls_where_the_validation_loss_does_not(
    data: VideoList, model: Path, tmp_path: Path
) -> None:
    result = c3dhub.finetune(
        data, model=model, output=tmp_path / "run", hold_out=0, epochs=4, patience=1,
        batch_size=4, micro_batch=2, lr=1e-12, begin_at="fc", augmentation=None,
    )  # fmt: skip
    rates = [row.lr for row in result.history]
    assert rates[0] == 1e-12
    assert rates == sorted(rates, reverse=True)


def test_tensorboard_gets_curves_where_it_is_installed(
    data: VideoList, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points: list[tuple[str, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int | None) -> None:
            assert Path(folder).name == "tensorboard"

        def add_scalar(self, name: str, value: float, step: int) -> None:
            points.append((name, step))

        def close(self) -> None:
            points.append(("closed", 0))

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    c3dhub.finetune(
        data, model=model, output=tmp_path / "run", hold_out=0.5, epochs=1, begin_at="fc", **QUICK
    )
    assert {name for name, _ in points} == {
        "train/loss", "train/accuracy", "lr", "val/loss", "val/accuracy", "closed",
    }  # fmt: skip


def test_without_tensorboard_nothing_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c3dhub.learning.training.records import Board

    def refuse(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    board = Board(tmp_path, step=0)
    board.add(1, {"lr": 1.0})
    board.close()
    assert list(tmp_path.iterdir()) == []
