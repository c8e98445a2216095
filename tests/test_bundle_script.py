"""examples/pretrain/bundle.py: one command puts a training run into the package."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

import c3dhub
from c3dhub.base.files import sha256_of

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples" / "pretrain"))

import bundle  # noqa: E402
import train  # noqa: E402
from entry import with_entry  # noqa: E402
from runs import Recipe  # noqa: E402

NAME = "resnet18_figures"
SMALL = Recipe(arch="resnet18", width=2, clips=4, batch=4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of one step."""
    folder = tmp_path_factory.mktemp("run")
    trainer = train.Trainer(SMALL, folder, workers=0)
    trainer.train(log_every=1)
    trainer.log.add({"step": 1, "clips": 4, "seconds": 7200, "held_out_loss": 3.5,
                     "held_out_accuracy": 0.125})  # fmt: skip
    (folder / "remarks.txt").write_text("The second half\nwas left out.\n")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder that has of a repository what is written into."""
    shutil.copy(ROOT / "weights_manifest.json", tmp_path)
    return tmp_path


def test_one_command_replaces_model_card_and_entry(
    root: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"dataset": "somewhere", "metric": "linear probe", "value": 61.5, "protocol": "so"}
    (root / "results.json").write_text(json.dumps([row]))
    results = bundle.read_results(root / "results.json")
    # A network of one step may name no clip at all.
    monkeypatch.setattr(bundle, "evaluate", lambda *_: (3.6, 0.0263))
    metrics = bundle.bundle(bundle.Run.read(finished), root=root, results=results, clips=38)
    assert metrics[0]["value"] == 2.63
    assert "38 clips of a seed that training never uses" in metrics[0]["protocol"]
    before = (ROOT / "weights_manifest.json").read_text(encoding="utf-8")
    after = (root / "weights_manifest.json").read_text(encoding="utf-8")
    assert with_entry(after, NAME, {}) == with_entry(before, NAME, {})

    monkeypatch.setenv("C3DHUB_MANIFEST", str(root / "weights_manifest.json"))
    entry = json.loads(after)["models"][NAME]
    assert [metric["value"] for metric in entry["metrics"]] == [2.63, 61.5]
    assert entry["stages"]["avgpool"] == [16]
    folder = root / "c3dhub" / "registry" / "bundled" / NAME
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| somewhere | linear probe | 61.5 | so |" in card
    assert "| 4 | 2.00 | 3.500 | 12.5 % |" in card
    assert "| seed | 0 |" in card
    assert "threads.\nThe second half was left out. The whole log" in card
    assert (root / "c3dhub" / "registry" / "labels" / "figures.txt").read_text().count("\n") == 38
    assert (root / "examples" / "pretrain" / "log.csv").read_text().startswith("step,clips")
    loaded = c3dhub.load(folder, device="cpu")
    trained = bundle.Run.read(finished).network().state_dict()
    for key, value in loaded.state_dict().items():
        assert torch.allclose(value.double(), trained[key].double(), rtol=1e-3, atol=1e-7)
    assert sha256_of(folder / "model.safetensors") == entry["bundled"]["sha256"]


def test_the_measurement_is_of_clips_of_each_class(finished: Path) -> None:
    run = bundle.Run.read(finished)
    metric = bundle.measured(run.network(), run, 1)
    assert metric["value"] in [round(n / 38 * 100, 2) for n in range(39)]
    assert metric["protocol"].startswith("clip level, 38 clips")


def test_an_unfinished_run_is_refused_unless_it_is_meant(finished: Path, tmp_path: Path) -> None:
    state = torch.load(finished / "last.pt", weights_only=True)
    torch.save(state | {"step": 0}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match="1 steps to go: train on"):
        bundle.Run.read(tmp_path)
    run = bundle.Run.read(tmp_path, unfinished=True)
    assert run.steps_left == 1
    assert "A trial: 1 steps" in bundle.about(run)


@pytest.mark.parametrize(
    "text",
    ["{}", "[1]", '[{"dataset": "a"}]',
     '[{"dataset": "a", "metric": "b", "value": "c", "protocol": "d"}]',
     '[{"dataset": "a", "metric": "b", "value": 101, "protocol": "d"}]'],
)  # fmt: skip
def test_results_that_are_no_metrics_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ValueError, match=r"r\.json"):
        bundle.read_results(tmp_path / "r.json")


def test_weights_beyond_float16_are_refused(root: Path, finished: Path, tmp_path: Path) -> None:
    run = bundle.Run.read(finished)
    run.state["model"]["fc.weight"][0, 0] = 1e6
    with pytest.raises(ValueError, match=r"fc\.weight: not finite as float16"):
        bundle.bundle(run, root=root, clips=38)
    assert not (root / "c3dhub").exists()


def test_a_manifest_without_the_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="must have the entry 'other' once"):
        with_entry("{}", "other", {})


def test_the_script_reports_what_is_wrong_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bundle.py", str(tmp_path), "--root", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        bundle.main()
    assert stopped.value.code == 1
    assert "last.pt" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
