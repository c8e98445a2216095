"""``c3dhub demo``: the sample video through the bundled model, with no network and no traces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

import c3dhub
from c3dhub.cli import main
from c3dhub.extraction.features import load_features
from c3dhub.registry import sample
from c3dhub.registry.manifest import model_info
from c3dhub.registry.sample import sample_shown, sample_video

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples" / "pretrain"))

# Whatever tries to reach the network in a process that begins with this ends it.
NO_SOCKETS = (
    "import socket\n"
    "def never(*a, **k): raise SystemExit('a connection was tried')\n"
    "socket.socket.connect = socket.create_connection = socket.getaddrinfo = never\n"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# The video ----------------------------------------------------------------------------------------


def test_the_sample_is_small_and_as_described() -> None:
    path = c3dhub.sample_video()
    assert path.stat().st_size < 400_000
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(frame.time or 0.0, frame) for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264"
        assert float(stream.average_rate or 0) == 15
    assert len(frames) == 176
    assert {(frame.width, frame.height) for _, frame in frames} == {(320, 240)}
    assert [time for time, _ in frames] == pytest.approx([i / 15 for i in range(176)], abs=1e-3)


def test_the_sidecar_tells_every_moment_in_the_models_own_words() -> None:
    shown = sample_shown()
    classes = model_info("resnet18_figures").config.classes
    assert classes is not None
    assert {scene.label for scene in shown} <= set(classes)
    assert len({scene.label for scene in shown}) == 9
    assert shown[0].start_seconds == 0
    assert shown[-1].end_seconds == pytest.approx(176 / 15, abs=1e-5)
    for one, next_ in pairwise(shown):
        assert one.end_seconds == next_.start_seconds


def test_a_lost_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sample, "_FOLDER", tmp_path)
    with pytest.raises(c3dhub.C3DHubError, match=r"sample\.mp4: .*install c3dhub again"):
        sample_video()
    assert main(["demo"]) == 1


def test_the_script_draws_what_is_shipped(tmp_path: Path) -> None:
    import sample as script  # of examples/pretrain

    video, sidecar = script.write_sample(tmp_path, script.SCENES[:2])
    shown = json.loads(sidecar.read_text(encoding="utf-8"))["shown"]
    assert shown == json.loads((sample_video().parent / "sample.json").read_text())["shown"][:2]
    assert [row["label"] for row in shown] == ["waving", "walking right"]
    with av.open(str(video)) as ours, av.open(str(sample_video())) as theirs:
        for one, other in zip(ours.decode(video=0), theirs.decode(video=0), strict=False):
            a, b = (frame.to_ndarray(format="rgb24").astype(int) for frame in (one, other))
            # Another x264 may spend its bits elsewhere; the picture is the same.
            assert np.abs(a - b).mean() < 4


# The command --------------------------------------------------------------------------------------


def test_demo_in_a_process_of_its_own_without_network_or_home(here: Path) -> None:
    code = NO_SOCKETS + "import sys; from c3dhub.cli import main; sys.exit(main(['demo']))"
    nowhere = here / "file"
    nowhere.touch()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(nowhere / "x"),
             "C3DHUB_HOME": str(nowhere / "y"), "HF_HOME": str(nowhere / "z")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    table = lines[2:13]
    assert [float(line.split()[0]) for line in table] == pytest.approx(
        [i * 16 / 15 for i in range(11)], abs=0.006
    )
    assert all(line.endswith(("waving", "right", "jacks", "down", "air", "hands", "ing"))
               for line in table)  # fmt: skip
    assert 'c3dhub.load("resnet18_figures")' in done.stdout
    features = load_features(here / "demo_features.safetensors")
    assert features.pooled.shape == (11, 128)
    assert features.provenance["model"]["name"] == "resnet18_figures"


def test_demo_for_programs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--json", "--device", "cpu", "-o", "mine.safetensors"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["video"] == str(sample_video())
    assert len(told["clips"]) == 11
    shown = [row["shown"] for row in told["clips"]]
    assert shown[:3] == ["waving", "waving", "walking right"]
    assert told["n_right"] == sum(row["label"] == row["shown"] for row in told["clips"])
    best = c3dhub.classify(sample_video(), model="resnet18_figures", topk=1, per_clip=True)
    assert [row["label"] for row in told["clips"]] == [b["predictions"][0]["label"] for b in best]
    assert told["stages"] == {"avgpool": [11, 128], "logits": [11, 38]}
    assert [path.name for path in here.iterdir()] == [told["output"]]


def test_a_manifest_of_ones_own_changes_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"schema_version": 1, "releases": {}, "data": {}, "models": {}}
    (here / "own.json").write_text(json.dumps(own))
    monkeypatch.setenv("C3DHUB_MANIFEST", str(here / "own.json"))
    assert main(["demo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "resnet18_figures"
    with pytest.raises(c3dhub.UnknownModelError):
        c3dhub.load("resnet18_figures")


@pytest.mark.usefixtures("here")
def test_path_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--path"]) == 0
    assert capsys.readouterr().out == f"{sample_video()}\n"
    assert main(["demo", "--path", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"video": str(sample_video())}


def test_a_file_that_is_not_ours_is_left_alone(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = here / "demo_features.safetensors"
    file.write_text("a letter")
    assert main(["demo"]) == 1
    assert "is left alone: name another file with -o" in capsys.readouterr().err
    assert file.read_text() == "a letter"
    file.unlink()
    assert main(["demo"]) == 0
    assert main(["demo"]) == 0  # its own file is written again


@pytest.mark.parametrize(
    ("output", "code", "says"),
    [
        ("features.npz", 2, "end it in .safetensors"),
        ("nowhere/f.safetensors", 2, "is no folder: create it first"),
    ],
)
@pytest.mark.usefixtures("here")
def test_an_output_that_cannot_be_is_told_before_any_work(
    output: str, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "-o", output]) == code
    assert says in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_folder_that_cannot_be_written_hides_no_prediction(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere/.part")

    monkeypatch.setattr("c3dhub.extraction.features.save_file", full)
    assert main(["demo", "-o", str(here / "f.safetensors")]) == 1
    printed = capsys.readouterr()
    assert "clips are named as they were drawn" in printed.out
    assert "No space left on device; give a path" in printed.err
    assert ".part" not in printed.err


def test_a_lost_entry_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("c3dhub.cli.demo.shipped_manifest", dict)
    assert main(["demo"]) == 1
    assert "install c3dhub again" in capsys.readouterr().err
