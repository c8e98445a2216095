"""A run that is killed, wherever that happens, ends as one that is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from training_data import write_model, write_videos

import c3dhub
from c3dhub.base.files import sha256_of
from c3dhub.learning.training.learner import Learner

HERE = Path(__file__).resolve().parent
# Shares of all events of a run. Two in one run: it is killed, begun again and killed again.
MOMENTS = ("0.01", "0.13", "0.3", "0.45,0.3", "0.6", "0.71", "0.86", "0.97")
RUN: dict[str, Any] = {
    "hold_out": 0, "epochs": 2, "batch_size": 2, "micro_batch": 2, "lr": 0.02,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("data") / "colours", each=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


def _weights(folder: Path) -> dict[str, str]:
    """Return the hash of every file with numbers that were learned."""
    return {
        str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*.safetensors")
    }


def _state(folder: Path) -> Any:
    """Return the state at the end without the time that it took."""
    (path,) = (folder / "checkpoints").glob("*/state.json")
    state = json.loads(path.read_text(encoding="utf-8"))
    for place in (state, *state["history"]):
        del place["seconds"]
    return state


def test_killed_and_resumed_gives_the_same_weights_bit_by_bit(
    data: Path, model: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "killed_training.py"), data, model, tmp_path, *MOMENTS],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    total, *runs = done.stdout.split("\n")[:-1]
    assert int(total) > 50
    killed = {point: int(count) for point, count in (run.split(" ") for run in runs)}
    assert killed == {point: point.count(",") + 1 for point in MOMENTS}
    expected, state = _weights(tmp_path / "whole"), _state(tmp_path / "whole")
    assert len(expected) == 3  # best, last and its momentum
    for point in MOMENTS:
        assert _weights(tmp_path / point) == expected, point
        assert _state(tmp_path / point) == state, point
        left = [path.name for path in (tmp_path / point).rglob("*") if ".part" in path.name]
        assert left == [], point


def test_an_interrupted_run_goes_on_in_the_middle_of_an_epoch(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**RUN, "begin_at": "layer4", "save_every": 1}
    c3dhub.finetune(data, model=model, output=tmp_path / "whole", **options)
    update, updates = Learner.update, iter(range(2))

    def interrupted(learner: Learner, *, rate: float) -> None:
        if next(updates, None) is None:
            raise KeyboardInterrupt
        update(learner, rate=rate)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            c3dhub.finetune(data, model=model, output=tmp_path / "run", **options)
    lines: list[str] = []
    c3dhub.finetune(data, model=model, output=tmp_path / "run", report=lines.append, **options)
    assert "goes on after 0 epochs, 2 steps" in lines[0]
    assert _weights(tmp_path / "run") == _weights(tmp_path / "whole")
    assert _state(tmp_path / "run") == _state(tmp_path / "whole")


def test_another_seed_gives_other_weights(data: Path, model: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        c3dhub.finetune(data, model=model, output=tmp_path / str(seed), seed=seed, **RUN)
    one, other = _weights(tmp_path / "0"), _weights(tmp_path / "1")
    assert one.keys() == other.keys()
    assert not set(one.values()) & set(other.values())


def test_other_settings_on_resume_are_all_named(data: Path, model: Path, tmp_path: Path) -> None:
    c3dhub.finetune(data, model=model, output=tmp_path, **RUN)
    changed = {**RUN, "lr": 0.5, "epochs": 9, "begin_at": "layer3", "augmentation": None}
    with pytest.raises(c3dhub.TrainingError) as caught:
        c3dhub.finetune(
            write_videos(tmp_path.parent / "other", each=1), model=model, output=tmp_path, **changed
        )
    message = str(caught.value)
    for part in (
        "recipe lr is 0.02 there and 0.5 now", "recipe epochs is 2 there and 9 now",
        "recipe begin_at is layer4 there and layer3 now", "augmentation", "data videos is 6",
    ):  # fmt: skip
        assert part in message
    assert "weight_decay" not in message


def test_another_base_model_on_resume_is_named(data: Path, model: Path, tmp_path: Path) -> None:
    c3dhub.finetune(data, model=model, output=tmp_path / "run", **{**RUN, "epochs": 1})
    other = c3dhub.load(model, device="cpu")
    next(other.get_classifier().parameters()).data += 1
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(c3dhub.TrainingError, match="model weights_sha256 is"):
        c3dhub.finetune(
            data, model=tmp_path / "other", output=tmp_path / "run", **{**RUN, "epochs": 1}
        )


def test_resume_can_be_insisted_on_or_ruled_out(data: Path, model: Path, tmp_path: Path) -> None:
    quick = {**RUN, "epochs": 1, "begin_at": "fc"}
    with pytest.raises(c3dhub.TrainingError, match="no training run to go on with"):
        c3dhub.finetune(data, model=model, output=tmp_path / "run", resume="must", **quick)
    c3dhub.finetune(data, model=model, output=tmp_path / "run", resume="never", **quick)
    with pytest.raises(c3dhub.TrainingError, match="holds a training run already"):
        c3dhub.finetune(data, model=model, output=tmp_path / "run", resume="never", **quick)
    assert c3dhub.finetune(
        data, model=model, output=tmp_path / "run", resume="must", **quick
    ).was_finished


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.json", b"{}"),
        ("state.json", b"nonsense"),
        ("momentum.safetensors", b"short"),
        ("model.safetensors", b"short"),
    ],
)
def test_a_damaged_checkpoint_is_an_error(
    data: Path, model: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    from c3dhub.learning.training.prepare import prepare_network
    from c3dhub.learning.training.run_folder import restore

    result = c3dhub.finetune(
        data, model=model, output=tmp_path, **{**RUN, "epochs": 1, "begin_at": "fc"}
    )
    (result.last / name).write_bytes(content)
    import torch

    network = prepare_network(model, classes=result.classes, scratch=False, seed=0).network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with pytest.raises(c3dhub.TrainingError, match="cannot read the checkpoint"):
        restore(result.last, network, optimizer)


def test_damaged_settings_are_an_error(data: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text('{"format": 99}', encoding="utf-8")
    with pytest.raises(c3dhub.TrainingError, match="cannot read the settings"):
        c3dhub.finetune(data, model=model, output=tmp_path, **RUN)
