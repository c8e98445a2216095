"""The hand-drawn videos to transfer to, and the experiment on them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))
sys.path.insert(0, str(EXAMPLES / "pretrain"))

import figures  # noqa: E402
import retrace  # noqa: E402
import target  # noqa: E402
from target_actions import ACTIONS, climb, pick_up, wheel  # noqa: E402

import c3dhub  # noqa: E402
from c3dhub.video import open_video  # noqa: E402

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(EXAMPLES.parent)}


def test_a_drawing_is_frames_and_the_label_of_its_turn() -> None:
    frames, label = target.draw(0, 11)
    assert frames.shape == (24, 120, 160, 3)
    assert frames.dtype == np.uint8
    assert label == 3
    assert (frames != target.draw(1, 11)[0]).any()


def test_the_classes_are_none_of_those_that_the_model_was_trained_on() -> None:
    assert len(target.CLASSES) == 8
    assert list(target.CLASSES) == sorted(target.CLASSES)
    assert not set(target.CLASSES) & set(figures.CLASSES)


def test_another_process_draws_the_same_pixels() -> None:
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import target\n"
        "print(*(hashlib.sha256(target.draw(5, i)[0].tobytes()).hexdigest() for i in (9, 2)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(EXAMPLES)],
        capture_output=True, text=True, check=True, env={**ENVIRONMENT, "PYTHONHASHSEED": "99"},
    )  # fmt: skip
    here = [hashlib.sha256(target.draw(5, i)[0].tobytes()).hexdigest() for i in (9, 2)]
    assert done.stdout.split() == here


@pytest.mark.parametrize(
    ("action", "backwards"),
    [(climb, "climbing down"), (pick_up, "putting down"), (wheel, "dragging a cart")],
)
def test_three_classes_are_others_played_backwards(action: object, backwards: str) -> None:
    assert callable(action)
    forwards = action(np.random.default_rng(4))
    turned = ACTIONS[backwards](np.random.default_rng(4))
    assert np.array_equal(turned.points, forwards.points[::-1])
    assert np.array_equal(turned.things, forwards.things[::-1])


def test_motion_goes_where_the_label_says() -> None:
    for seed in range(5):
        up = climb(np.random.default_rng(seed)).points[:, 0, 2]
        assert up[-1] - up[0] > 0.2
        scene = wheel(np.random.default_rng(seed))
        pelvis, cart = scene.points[:, 0, 0], scene.things[:, 0, 0, 0]
        assert pelvis[-1] - pelvis[0] > 0.5
        assert (cart > pelvis).all()
        box = pick_up(np.random.default_rng(seed)).things[:, :, :, 2].mean(axis=(1, 2))
        assert box[0] == pytest.approx(box[3])
        assert box[-1] - box[0] > 0.2


def test_a_line_covers_the_pixels_that_it_crosses() -> None:
    cover = target.strokes(np.array([[[20.0, 50.0], [60.0, 50.0]]]), 3.0)
    assert cover.shape == (target.HEIGHT, target.WIDTH)
    assert (cover[49:52, 20:61] == 1).all()
    assert cover[47, 30] == cover[53, 30] == cover[50, 17] == 0
    assert target.strokes(np.array([[[-50.0, -9.0], [-20.0, -9.0]]]), 3.0).max() == 0


def test_the_files_are_videos_in_a_folder_for_each_class(tmp_path: Path) -> None:
    videos = c3dhub.read_dataset(target.write(tmp_path / "set", per_class=2, seed=3))
    assert videos.classes == target.CLASSES
    assert videos.counts == [2] * 8
    with open_video(videos.items[3].path) as video:
        frames = [frame.to_rgb() for frame in video]
    drawn, label = target.draw(3, 8 + 1)
    assert label == videos.items[3].label == 1
    assert len(frames) == 24
    far = np.abs(np.stack(frames).astype(int) - drawn)
    assert far.mean() < 6  # lossy, but the same picture
    few = retrace.few(videos, 1)
    assert few.counts == [1] * 8
    assert few.items[1].path == videos.items[2].path


def test_the_table_has_the_mean_over_seeds_and_the_interval_of_the_test_set() -> None:
    found = [retrace.Outcome("scratch", 5, seed, top1, 100) for seed, top1 in ((0, 0.4), (1, 0.6))]
    rows = retrace.table([*found, retrace.Outcome("frozen probe", 5, 0, 1.0, 100)]).splitlines()
    assert rows[2] == "| 5 | scratch | 50.0% | 40.4% to 59.6% | 40.0%, 60.0% |"
    assert rows[3] == "| 5 | frozen probe | 100.0% | 96.3% to 100.0% | 100.0% |"


@pytest.mark.slow
def test_the_experiment_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "retrace.py"), "--quick",
         "--json", str(tmp_path / "figures.json")],
        capture_output=True, text=True, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = [way.name for way in retrace.WAYS]
    rows = [line.split(" | ") for line in done.stdout.splitlines()]
    assert [row[1] for row in rows[2:]] == names
    plain = json.loads((tmp_path / "figures.json").read_text())
    assert [each["way"] for each in plain["outcomes"]] == names
    assert {each["n_test"] for each in plain["outcomes"]} == {8}
    assert [each["train_loss"] is not None for each in plain["outcomes"]] == [
        way.trains for way in retrace.WAYS
    ]
