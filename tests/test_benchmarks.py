"""The scripts in benchmarks/: the baseline computes the same features, and the table comes out."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import baseline
import compare
import made_videos
import measure
import numpy as np
import pytest
import table
from history import Record, append_history, read_history
from make_video import frame_number, write_video
from PIL import Image

from c3dhub.cli.bench.figures import Figure
from c3dhub.cli.bench.timing import Timing
from c3dhub.clips.reading import read_clips
from c3dhub.clips.rule import ClipRule
from c3dhub.extract import extract_features
from c3dhub.networks import VideoNetwork
from c3dhub.video import open_video

SCRIPTS = Path(baseline.__file__).parent


def run_script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a script of benchmarks/ as a person does."""
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *(str(argument) for argument in arguments)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS.parent), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    return made_videos.make_video(folder / "made.mp4", seconds=2, size=(200, 150), fps=20)


# The baseline -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(200, 150), (150, 200), (112, 112), (321, 241)])
def test_the_baseline_prepares_frames_as_the_transforms_do(
    size: tuple[int, int], tiny: VideoNetwork
) -> None:
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    ours = tiny.transforms.resize(pixels[None])[0].numpy().astype(int)
    plain = baseline.scale_and_crop(Image.fromarray(pixels)).astype(int)
    assert np.abs(ours - plain).max() <= 1


def test_the_baseline_reads_the_clips_that_c3dhub_reads(video: Path, tiny: VideoNetwork) -> None:
    plain = list(baseline.read_clips(video, clip_len=16))
    with open_video(str(video)) as source:
        clips = read_clips(source, rule=ClipRule(clip_len=16), transform=tiny.transforms)
        ours = [clip.frames.numpy() for clip in clips]
    assert len(ours) == len(plain) == 3
    difference = np.abs(np.stack(ours).astype(int) - np.stack(plain).astype(int))
    assert difference.max() <= 1


@pytest.mark.parametrize("batch", [1, 2])
def test_the_baseline_gives_the_same_features(video: Path, tiny: VideoNetwork, batch: int) -> None:
    plain = baseline.features(video, network=tiny, batch=batch)
    ours = extract_features(video, model=tiny).pooled
    assert plain.shape == ours.shape
    assert np.linalg.norm(plain - ours) < 0.01 * np.linalg.norm(ours)


def test_the_baseline_stops_after_the_seconds_asked_for(video: Path) -> None:
    assert len(list(baseline.read_images(video, seconds=0.5))) == 10


# Footage ------------------------------------------------------------------------------------------


def test_the_made_video_is_what_was_asked_for(video: Path) -> None:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == (200, 150)
        assert stream.average_rate == 20
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
    assert len(frames) == 40
    assert all((a != b).any() for a, b in pairwise(frames))


def test_pieces_hold_the_frames_of_the_whole_in_order(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", 47, fps=10)
    pieces, whole = made_videos.cut(source, tmp_path, seconds=1, most=100)
    assert len(pieces) == 4  # the last 7 frames are no whole piece
    numbers = [_numbers(piece) for piece in pieces]
    assert numbers == [list(range(10 * k, 10 * k + 10)) for k in range(4)]
    assert _numbers(whole) == list(range(40))


def test_the_pieces_are_at_most_as_many_as_wanted_and_at_least_one(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", 30, fps=10)
    assert len(made_videos.cut(source, tmp_path, seconds=1, most=2)[0]) == 2
    (piece,), whole = made_videos.cut(source, tmp_path, seconds=60, most=9)
    assert _numbers(piece) == _numbers(whole) == list(range(30))


def _numbers(path: Path) -> list[int]:
    with open_video(str(path)) as source:
        return [frame_number(frame.to_rgb()) for frame in source]


# Ratios -------------------------------------------------------------------------------------------


def test_the_overhead_is_the_time_of_all_over_the_time_of_the_parts() -> None:
    found = {
        ("decode", ""): Timing((10.0,), (1.0,)),  # 0.1 s a clip
        ("network", "w"): Timing((5.0,), (1.0,)),  # 0.2 s a clip
        ("end to end", "w"): Timing((100.0,), (33.0,)),
    }
    assert measure.overhead(found, "w") == pytest.approx(1.1)


# The table and the history ------------------------------------------------------------------------


@pytest.fixture
def record() -> Record:
    def rate(what: str, way: str, value: float, video: str = "") -> Figure:
        return Figure(what, value, "clips/s", way, video, 1.1 * value, 3)

    return Record(
        setup={
            "model": "m", "random_weights": False, "clip": [16, 112, 112], "gflop_per_clip": 20.0,
            "videos": ["v.mp4"], "batch": 8, "seconds": 30.0, "matmul_size": 4096, "pieces": 100,
            "piece_seconds": 5.0,
        },
        machine={"cpu": "C", "cores": 2, "device": "cpu", "packages": {"torch": "2", "nncf": None}},
        figures=(
            Figure("matmul", 100.0, "GFLOP/s", "float32"),
            rate("network", measure.PLAIN, 2.0),
            rate("network", "float32 torch", 4.0),
            rate("decode", "", 50.0, "v.mp4"),
            rate("end to end", measure.PLAIN, 1.5, "v.mp4"),
            rate("end to end", "float32 torch", 3.75, "v.mp4"),
            Figure(measure.OVERHEAD, 0.98, "times", "float32 torch", "v.mp4"),
            rate("short videos", "float32 torch", 3.6, "v.mp4"),
            rate("one long video", "float32 torch", 4.0, "v.mp4"),
            Figure(measure.SHORT_TO_LONG, 0.9, "times", "float32 torch", "v.mp4", 0.9),
            Figure("whole process", 120.0, "s", measure.PLAIN, "v.mp4"),
            Figure("whole process", 40.0, "s", "float32 torch", "v.mp4"),
            Figure("memory", 512.3, "MB", "float32 torch", "v.mp4"),
            Figure("error avgpool, worst", 0.002, "relative", "float32 torch", "v.mp4"),
            Figure("cosine avgpool, worst", 0.99999, "cosine", "float32 torch", "v.mp4"),
        ),
        not_served={"int8 openvino": "needs a package"},
        date="2020-01-01T00:00:00+00:00",
        version="1.0",
        commit="abcdef123456",
    )  # fmt: skip


def test_the_table_has_a_line_for_each_way(record: Record) -> None:
    lines = table.render(record).splitlines()
    assert lines[0] == "c3dhub 1.0 (abcdef123456), 2020-01-01T00:00:00+00:00"
    assert lines[1] == "C, 2 cores, cpu; torch 2"
    (plain,) = (line for line in lines if line.startswith("plain, batch 1"))
    assert plain.split()[3:] == [
        "2", "1.00", "(1.00)", "40", "40%", "1.5", "1.00", "(1.00)", "120", "1.00",
    ]  # fmt: skip
    (ours,) = (line for line in lines if line.startswith("float32 torch  "))
    assert ours.split()[2:] == [
        "4", "2.00", "(2.00)", "80", "80%", "3.75", "2.50", "(2.50)", "0.98",
        "40", "3.00", "512", "2.0e-03", "0.99999",
    ]  # fmt: skip
    assert "matrix product 4096 square, float32: 100 GFLOP/s" in lines
    assert "decode and preprocess v.mp4 alone: 50 clips/s" in lines
    assert any(line.endswith("the same frames in one video 4 clips/s: 90%") for line in lines)
    assert "not here: int8 openvino: needs a package" in lines


def test_two_runs_stand_side_by_side(record: Record) -> None:
    figures = (
        Figure("network", 5.0, "clips/s", "float32 torch"),
        Figure("whole process", 50.0, "s", "float32 torch", "v.mp4"),
        Figure("memory", 513.0, "MB", "float32 torch", "v.mp4"),
        Figure("network", 9.0, "clips/s", "int8 openvino"),
    )
    other = replace(record, figures=figures, version="1.1", machine={**record.machine, "cores": 4})
    lines = compare.compare(record, other).splitlines()
    assert lines[0].startswith("A: c3dhub 1.0 (abcdef123456)")
    assert "another machine: cores: A 2, B 4" in lines
    rows = {line.split("  ")[0]: line.split() for line in lines}
    assert rows["network, float32 torch"][-2:] == ["1.250", "better"]
    assert rows["whole process, float32 torch, v.mp4"][-2:] == ["1.250", "worse"]
    assert rows["memory, float32 torch, v.mp4"][-1] == "1.001"
    assert rows["network, int8 openvino"][-1] == "new"
    assert rows["network, plain, batch 1"][-1] == "gone"


def test_runs_are_found_by_index_version_and_commit(record: Record) -> None:
    records = [record, replace(record, version="1.1", commit=None)]
    assert compare.choose(records, "0") is record
    assert compare.choose(records, "-1") is records[1]
    assert compare.choose(records, "1.1") is records[1]
    assert compare.choose(records, "abcd") is record
    with pytest.raises(ValueError, match=r"no run is '2\.0'; the history has 0: c3dhub 1\.0"):
        compare.choose(records, "2.0")


def test_comparing_is_a_command(
    record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.jsonl"
    assert compare.main([str(path)]) == 1
    assert "history.jsonl" in capsys.readouterr().err
    append_history(path, record)
    append_history(path, record)
    assert compare.main([str(path)]) == 0
    assert "1.000" in capsys.readouterr().out


# Everything ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_command_prints_one_table(tiny: VideoNetwork, tmp_path: Path) -> None:
    model = tiny.save_pretrained(tmp_path / "model")
    history = tmp_path / "history.jsonl"
    done = run_script("run.py", "--model", model, "--quick", "--json", history)
    assert done.returncode == 0, done.stderr
    for way in (measure.PLAIN, measure.PLAIN_BATCHED, "float32 torch"):
        assert f"\n{way} " in done.stdout
    assert "decode and preprocess made.mp4 alone" in done.stdout
    (found,) = read_history(history)
    assert table.render(found) == done.stdout.rstrip("\n")
    for way in (measure.PLAIN, "float32 torch"):
        memory = found.get("memory", way=way, video="made.mp4")
        assert memory is not None
        assert 100 < memory.value < 10_000
    whole = found.get("whole process", way=measure.PLAIN, video="made.mp4", unit="s")
    assert whole is not None
    measured = {figure.way for figure in found.figures if figure.what == "network"}
    assert measured | set(found.not_served) >= {"int8 openvino", "bfloat16 torch"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "no_such_model", "--quick"], "no_such_model"),
        (["--model", "resnet10", "--random-weights", "--video", "no.mp4"], "no.mp4"),
        (["--model", "resnet10", "--video", "a/v.mp4", "--video", "b/v.mp4"], "another name"),
    ],
)
def test_wrong_use_of_the_script_is_one_message(arguments: list[str], message: str) -> None:
    done = run_script("run.py", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
