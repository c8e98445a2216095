"""The record of a benchmark run: it survives its file, and nothing else passes for one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import history
import pytest
import torch
from history import Record, higher_is_better
from measure import seconds_figure

import c3dhub
from c3dhub.cli.bench.figures import Figure, rate_figures
from c3dhub.cli.bench.timing import Timing


@pytest.fixture
def example() -> Record:
    timing = Timing((12.0, 12.0, 12.0), (2.0, 4.0, 3.0))
    return history.make_record(
        setup={"model": "m", "videos": ["v.mp4"]},
        device="cpu",
        figures=[
            *rate_figures({("network", "float32 torch"): timing}),
            seconds_figure(("whole process", "plain"), timing, video="v.mp4"),
            Figure("memory", 512.0, "MB", "plain"),
        ],
        not_served={"int8 openvino": "no"},
    )


def test_figures_hold_median_best_and_runs(example: Record) -> None:
    network = example.get("network", way="float32 torch")
    assert network == Figure("network", 4.0, "clips/s", "float32 torch", "", 6.0, 3)
    whole = example.get("whole process", way="plain", video="v.mp4")
    assert whole == Figure("whole process", 3.0, "s", "plain", "v.mp4", 2.0, 3)
    assert example.get("network", way="other") is None
    assert example.get("memory", way="plain", unit="s") is None


def test_a_record_survives_the_history_file(example: Record, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history.append_history(path, example)
    history.append_history(path, example)
    assert history.read_history(path) == [example, example]
    data = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert data["schema"] == Record.schema
    assert data["version"] == c3dhub.__version__
    assert data["machine"]["cores"] >= 1
    assert data["machine"]["packages"]["torch"] == torch.__version__
    assert data["date"].endswith("+00:00")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"schema": 99}, "it has schema 99; this c3dhub reads 1"),
        (lambda d: d | {"more": 1}, "more"),
        (lambda d: {k: v for k, v in d.items() if k != "figures"}, "figures"),
        (lambda d: [d], "no benchmark record"),
    ],
)
def test_what_is_no_record_is_refused_with_its_line(
    example: Record,
    tmp_path: Path,
    change: Callable[[dict[str, object]], object],
    message: str,
) -> None:
    path = tmp_path / "history.jsonl"
    broken = json.dumps(change(json.loads(example.to_json())))
    path.write_text(f"{example.to_json()}\n\n{broken}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"history\.jsonl, line 3: .*{message}"):
        history.read_history(path)


def test_no_record_holds_what_json_has_no_word_for(example: Record) -> None:
    bad = Record(setup={}, machine={}, figures=(Figure("x", float("nan"), "s"),))
    with pytest.raises(ValueError, match="JSON"):
        bad.to_json()


def test_runs_that_differ_are_pointed_out() -> None:
    def told(*figures: Figure) -> str | None:
        return Record(setup={}, machine={}, figures=figures).disturbance

    steady = Figure("network", 9.0, "clips/s", "a", "", 10.0, 3)
    shaky = Figure("decode", 6.0, "clips/s", "", "v.mp4", 10.0, 3)
    slow = Figure("whole process", 3.0, "s", "a", "", 1.0, 3)  # best is the least: not looked at
    assert told() is told(steady, slow) is None
    text = told(steady, shaky)
    assert text is not None
    assert "the median of decode v.mp4 is 60% of the best" in text


def test_units_know_their_direction() -> None:
    assert higher_is_better(Figure("x", 1, "clips/s")) is True
    assert higher_is_better(Figure("x", 1, "MB")) is False
    assert higher_is_better(Figure("x", 1, "times")) is None


def test_a_checkout_is_recorded_with_its_commit(example: Record) -> None:
    root = Path(c3dhub.__file__).parent.parent
    if not (root / ".git").exists():
        pytest.skip("this is no checkout")
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert example.commit is not None
    assert commit.startswith(example.commit.removesuffix("-dirty"))
