"""The clips that the small bundled model is trained on, and the training that stops and goes on."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

PRETRAIN = Path(__file__).resolve().parent.parent / "examples" / "pretrain"
sys.path.insert(0, str(PRETRAIN))

import figures  # noqa: E402
import probe  # noqa: E402
import train  # noqa: E402
from drawing import Limbs, draw  # noqa: E402
from feed import batches, flip_half  # noqa: E402
from runs import Recipe, export  # noqa: E402

import c3dhub  # noqa: E402

CLASSES = figures.CLASSES
STILL = ("standing still", "standing together")
GOOD = r"(?P<group>\d+)_(?P<label>\w+)"
TINY = Recipe(arch="resnet10", width=2, clips=24, batch=4, lr=0.01)


def test_a_clip_is_uint8_frames_and_the_label_of_its_turn() -> None:
    frames, label = figures.render(0, 5)
    assert frames.shape == (16, 112, 112, 3)
    assert frames.dtype == np.uint8
    assert frames.flags.c_contiguous
    assert label == 5
    assert figures.render(0, 5 + 3 * len(CLASSES))[1] == 5


def test_all_classes_take_turns() -> None:
    assert 25 <= len(CLASSES) <= 40
    assert len(set(CLASSES)) == len(CLASSES)
    loader = batches(3, size=len(CLASSES), first=0, last=1, workers=0)
    ((_, labels),) = list(loader)
    assert labels.tolist() == list(range(len(CLASSES)))


def test_another_process_draws_the_same_pixels() -> None:
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import figures\n"
        "clips = [figures.render(7, i)[0] for i in (40, 3, 31, 28)]\n"  # another order than here
        "print(*(hashlib.sha256(c.tobytes()).hexdigest() for c in clips))"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "99"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(PRETRAIN)],
        capture_output=True, text=True, check=True, env=env,
    )  # fmt: skip
    theirs = dict(zip((40, 3, 31, 28), done.stdout.split(), strict=True))
    for index in (3, 28, 31, 40):
        ours = hashlib.sha256(figures.render(7, index)[0].tobytes()).hexdigest()
        assert theirs[index] == ours


def test_a_worker_process_feeds_the_same_batches_in_the_same_order() -> None:
    here, there = (list(batches(4, size=2, first=5, last=8, workers=n)) for n in (0, 1))
    for (frames, labels), (same_frames, same_labels) in zip(here, there, strict=True):
        assert torch.equal(frames, same_frames)
        assert torch.equal(labels, same_labels)
    assert [label for _, labels in here for label in labels.tolist()] == list(range(10, 16))


def test_seeds_and_indices_give_other_clips() -> None:
    first, same, other_seed, other_index = (
        figures.render(seed, index)[0]
        for seed, index in ((0, 2), (0, 2), (1, 2), (0, 2 + len(CLASSES)))
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other_seed)
    assert not np.array_equal(first, other_index)


def _travel(name: str, index: int) -> float:
    """How far the joint that moves most gets from where it begins, in body heights."""
    people, _ = figures.people(11, CLASSES.index(name) + index * len(CLASSES))
    acting = people[: 1 if CLASSES.index(name) < CLASSES.index("standing together") else 2]
    ways = [np.linalg.norm(person.points - person.points[:1], axis=2).max() for person in acting]
    return float(max(ways))


@pytest.mark.parametrize("name", CLASSES)
def test_the_actors_of_every_class_move_unless_they_stand(name: str) -> None:
    ways = [_travel(name, index) for index in range(6)]
    if name in STILL:
        assert max(ways) < 0.06
    else:
        assert min(ways) > 0.06
        assert np.median(ways) > 0.1


def test_motion_shows_in_the_pixels() -> None:
    def change(name: str) -> float:
        frames, _ = figures.render(11, CLASSES.index(name), plain=True)
        far = np.abs(frames.astype(int) - frames[:1]).max(axis=(0, 3)) > 40
        return float(far.mean())

    assert change("standing still") < 0.01
    assert change("running left") > 0.05
    assert change("falling") > 0.03


def test_walkers_go_where_the_label_says() -> None:
    for name, sign in (("walking left", -1), ("walking right", 1), ("running left", -1)):
        for index in range(5):
            people, _ = figures.people(2, CLASSES.index(name) + index * len(CLASSES))
            pelvis = people[0].points[:, 0, 0]
            assert sign * (pelvis[-1] - pelvis[0]) > 0.1, name


def test_people_who_approach_end_closer_and_who_depart_farther() -> None:
    for name, sign in (("approaching", -1), ("departing", 1)):
        for index in range(5):
            people, _ = figures.people(2, CLASSES.index(name) + index * len(CLASSES))
            gap = np.linalg.norm(people[0].points[:, 0, :2] - people[1].points[:, 0, :2], axis=1)
            assert sign * (gap[-1] - gap[0]) > 0.1, name


def test_a_limb_covers_the_pixels_of_its_capsule() -> None:
    frames = np.zeros((1, 112, 112, 4), dtype=np.uint8)
    texture = np.full((2, 32, 24, 4), 200, dtype=np.uint8)
    texture[1] = 100
    ones = np.ones((1, 2), dtype=np.float32)
    ends = np.array([[[20, 30, 60, 30], [40, 10, 40, 50]]], dtype=np.float32)
    depth = np.array([[1.0, 2.0]], dtype=np.float32)  # the second is farther away
    radii = np.full((1, 2, 2), 4, dtype=np.float32)
    draw(frames, Limbs(ends, radii, depth, texture, ones[0], ones[0], ones), softness=1.0)
    plane = frames[0, :, :, 0]
    assert (plane[27:34, 20:61] == 200).all()
    assert (plane[10:26, 37:44] == 100).all()
    assert plane[30, 15] == plane[30, 65] == 0
    assert plane[24, 30] == 0
    assert plane[26, 25] == pytest.approx(100, abs=3)  # half covered, at a distance of the radius


def test_a_flip_mirrors_the_frames_and_swaps_left_and_right() -> None:
    names = {CLASSES[i]: CLASSES[j] for i, j in enumerate(figures.FLIPPED)}
    assert names["walking left"] == "walking right"
    assert names["running right"] == "running left"
    assert names["hugging"] == "hugging"
    frames = torch.arange(8 * 6, dtype=torch.uint8).reshape(8, 1, 1, 6, 1)
    labels = torch.full((8,), CLASSES.index("walking left"))
    turned, swapped = flip_half(frames, labels, seed=0, step=0)
    was_turned = swapped != labels
    assert 0 < int(was_turned.sum()) < 8
    assert torch.equal(turned[was_turned], frames[was_turned].flip(3))
    assert torch.equal(turned[~was_turned], frames[~was_turned])


def test_a_resumed_run_ends_with_the_weights_of_one_left_alone(tmp_path: Path) -> None:
    alone = train.Trainer(TINY, tmp_path / "alone", workers=0)
    alone.train(log_every=2)
    train.Trainer(TINY, tmp_path / "two", workers=0).train(until=4, log_every=2)
    # One more stretch that is lost, as with a kill between two checkpoints.
    kept = (tmp_path / "two" / "last.pt").read_bytes()
    train.Trainer(TINY, tmp_path / "two", workers=0).train(until=5, log_every=1)
    (tmp_path / "two" / "last.pt").write_bytes(kept)
    resumed = train.Trainer(TINY, tmp_path / "two", workers=0)
    assert resumed.step == 4
    resumed.train(log_every=2)
    theirs = resumed.network.state_dict()
    for name, tensor in alone.network.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name
    rows = [
        (p / "log.csv").read_text().splitlines() for p in (tmp_path / "alone", tmp_path / "two")
    ]
    assert [r.split(",")[0] for r in rows[0]] == [r.split(",")[0] for r in rows[1]]


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    train.Trainer(TINY, tmp_path, workers=0).save()
    other = Recipe(arch="resnet10", width=2, clips=24, batch=4, lr=0.02)
    with pytest.raises(ValueError, match=r"lr 0\.01, not 0\.02"):
        train.Trainer(other, tmp_path, workers=0)


@pytest.mark.parametrize("half", [False, True])
def test_the_exported_model_loads_with_its_class_names(tmp_path: Path, half: bool) -> None:
    trainer = train.Trainer(TINY, tmp_path, workers=0)
    export(trainer.network, tmp_path / "model", half=half)
    model = c3dhub.load(tmp_path / "model", device="cpu")
    assert model.classes == CLASSES
    assert model.dtype == torch.float32
    frames, _ = figures.render(0, 0)
    clip = model.transforms(frames)[None]
    expected = trainer.network.eval()(clip)
    found = model(clip)
    assert torch.allclose(found, expected, atol=0.05 if half else 1e-5)


def test_the_model_is_written_at_the_end_and_not_when_a_run_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [str(tmp_path), "--arch", "resnet10", "--width", "2", "--clips", "8", "--batch", "4"]
    options += ["--workers", "0", "--test-clips", "4", "--precision", "float32"]
    monkeypatch.setattr("sys.argv", ["train.py", *options, "--stop-after", "0"])
    train.main()
    assert (tmp_path / "last.pt").is_file()
    assert not (tmp_path / "model").exists()
    monkeypatch.setattr("sys.argv", ["train.py", *options])
    train.main()
    assert c3dhub.load(tmp_path / "model", device="cpu").classes == CLASSES


@pytest.mark.parametrize(
    ("names", "message"),
    [("(", "missing \\)"), (".*", r"must have \(\?P<label>"), (GOOD, "nothing")],
)
def test_what_is_wrong_with_a_probe_is_one_line(
    names: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = str(tmp_path / "nothing.pt")
    monkeypatch.setattr(
        "sys.argv", ["probe.py", str(tmp_path), "--checkpoint", missing, "--names", names]
    )
    with pytest.raises(SystemExit, match="2"):
        probe.main()
    assert re.search(message, capsys.readouterr().err.splitlines()[-1])


def test_layer3_is_left_in_float32_under_bfloat16() -> None:
    recipe = Recipe(arch="resnet10", width=4, bfloat16=True)
    network = train.build(recipe, torch.device("cpu"))
    clips = torch.randn(1, 3, 16, 64, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = network.forward_stages(clips, ("layer2", "layer3", "layer4"))
    assert [str(m.dtype) for m in maps.values()].count("torch.float32") >= 1
    assert maps["layer3"].dtype == torch.float32


def test_groups_are_left_out_alone_or_in_parts() -> None:
    assert probe.make_folds(["2", "1", "2"], []) == [["1"], ["2"]]
    assert probe.make_folds(["1", "2", "3"], ["1,3", "2"]) == [["1", "3"], ["2"]]
    with pytest.raises(ValueError, match="groups are"):
        probe.make_folds(["1", "2"], ["1"])
