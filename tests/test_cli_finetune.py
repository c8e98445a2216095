"""``c3dhub finetune`` and what it says of bad input, before any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training_data import tiny_network, write_model, write_videos

import c3dhub
from c3dhub.cli import main
from c3dhub.extraction.options import ComputeOptions

QUICK = ("--epochs", "1", "--batch-size", "2", "--workers", "0", "--device", "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("data") / "colours", each=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


def _run(data: Path, model: Path | str, output: Path, *more: str) -> int:
    return main(["finetune", str(data), "--model", str(model), "-o", str(output), *QUICK, *more])


def test_a_table_on_stderr_and_a_summary_on_stdout(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "deep" / "run"
    assert _run(data, model, output, "--hold-out", "0.5") == 0
    shown = capsys.readouterr()
    assert "val loss" in shown.err
    assert "1/1" in shown.err
    assert "3 classes" in shown.out
    assert (
        "kept: epoch 1 (the highest accuracy, then the lowest loss), validation loss" in shown.out
    )
    assert c3dhub.load(output, device="cpu").classes == ("blue", "green", "red")
    assert _run(data, model, output, "--hold-out", "0.5") == 0
    assert "is finished" in capsys.readouterr().err


def test_json_and_quiet_and_failures(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_videos(tmp_path / "data", each=1)
    (folder / "red" / "broken.mp4").write_bytes(b"no video")
    more = ("--val", str(data), "--json", "--quiet", "--workers", "1", "--augmentation", "none")
    assert _run(folder, model, tmp_path / "run", *more, "--begin-at", "fc") == 1
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result["best"]["epoch"] == 1
    assert result["recipe"]["augmentation"] is None
    assert result["classes"] == ["blue", "green", "red"]
    assert [Path(path).name for path, _ in result["broken"]] == ["broken.mp4"]
    assert shown.err.count("\n") == 1
    assert "broken.mp4" in shown.err
    assert _run(folder, model, tmp_path / "run2", "--hold-out", "0", "--quiet") == 1
    assert "1 videos could not be read" in capsys.readouterr().out


def test_subsets_are_taken_as_they_are_meant(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("train", "val", "test")):
        write_videos(tmp_path / "data" / name, each=1, seed=number)

    def settings(output: Path) -> tuple[int, int | None]:
        found = json.loads((output / "training.json").read_text(encoding="utf-8"))["settings"]
        return found["data"]["videos"], found["val"] and found["val"]["videos"]

    data, fc = tmp_path / "data", ("--begin-at", "fc")
    assert _run(data, model, tmp_path / "a", *fc) == 0
    assert settings(tmp_path / "a") == (3, 3)
    assert _run(data, model, tmp_path / "b", *fc, "--hold-out", "0") == 0
    assert settings(tmp_path / "b") == (3, None)
    assert _run(data, model, tmp_path / "c", *fc, "--subset", "test", "--val-subset", "val") == 0
    (tmp_path / "data" / "train").rename(tmp_path / "gone")
    assert _run(data, model, tmp_path / "d", *fc) == 1
    assert "--subset" in capsys.readouterr().err
    result = c3dhub.finetune(
        tmp_path / "gone", val=data, model=model, output=tmp_path / "e", begin_at="fc", epochs=1
    )
    assert result.best.val_loss is not None


def _expect(capsys: pytest.CaptureFixture[str], code: int, expected: int, *parts: str) -> None:
    shown = capsys.readouterr()
    assert code == expected, shown.err
    assert shown.err.startswith("c3dhub: error: ")
    assert "Traceback" not in shown.err
    for part in parts:
        assert part in shown.err


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (("--begin-at", "layer5"), ("layer5", "layer4")),
        (("--lr", "0"), ("lr is 0",)),
        (("--lr", "nan"), ("lr is nan",)),
        (("--epochs", "0"), ("epochs is 0",)),
        (("--batch-size", "0"), ("batch_size is 0",)),
        (("--micro-batch", "3"), ("micro_batch is 3",)),
        (("--hold-out", "1"), ("hold_out is 1",)),
        (("--workers", "-1"), ("workers is -1",)),
        (("--save-every", "0"), ("save_every is 0",)),
        (("--scratch", "--begin-at", "layer4"), ("layer4", "scratch")),
        (("--flip", "2"), ("flip is 2",)),
        (("--device", "cuda:77"), ("cuda:77",)),
    ],
)
def test_a_wrong_option_is_refused_before_training(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...], parts: tuple[str, ...],
) -> None:  # fmt: skip
    _expect(capsys, _run(data, model, tmp_path / "run", *more), 2, *parts)
    assert not (tmp_path / "run").exists()


def test_an_output_that_cannot_be_used_is_refused(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious", encoding="utf-8")
    code = _run(data, model, tmp_path / "mine")
    _expect(capsys, code, 1, "holds other files", "empty folder")
    code = _run(data, model, tmp_path / "mine" / "thesis.txt" / "run")
    _expect(capsys, code, 1, "is no folder")
    code = _run(data, model, Path("/proc/c3dhub"))
    _expect(capsys, code, 1, "/proc/c3dhub")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_model_or_data_that_is_not_there_is_refused(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = _run(data, "resnet18_kinetic", tmp_path / "run", "--offline")
    _expect(capsys, code, 2, "resnet18_kinetic", "Did you mean")
    code = _run(tmp_path / "nowhere", model, tmp_path / "run")
    _expect(capsys, code, 1, "nowhere")
    only = tmp_path / "one" / "class"
    only.mkdir(parents=True)
    (only / "a.mp4").write_bytes(b"")
    _expect(capsys, _run(only.parent, model, tmp_path / "run"), 1, "class")


# The numbers are the same on a CPU that computes bfloat16 slowly, and says so.
@pytest.mark.filterwarnings("ignore:this CPU .* has no instructions for bfloat16")
def test_networks_that_cannot_be_trained_are_refused(data: Path, tmp_path: Path) -> None:
    run: dict[str, Any] = {"output": tmp_path / "run", "epochs": 1}
    prepared: Any = tiny_network(width=8).prepared(ComputeOptions(precision="bfloat16"))
    with pytest.raises(ValueError, match="inference form"):
        c3dhub.finetune(data, model=prepared, **run)
    two = c3dhub.create_model("resnet10", in_channels=2, width=8, device="cpu")
    with pytest.raises(ValueError, match="2 channels"):
        c3dhub.finetune(data, model=two, **run)
    with pytest.raises(TypeError, match="begin_at"):
        c3dhub.finetune(data, model=two, begin_at=4, **run)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="resume is 'yes'"):
        c3dhub.finetune(data, model=two, resume="yes", **run)  # type: ignore[arg-type]
