"""Frozen features are computed once, found by content and settings, and never out of date."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_videos import computed, six_videos, stored

from c3dhub.extraction.features import load_features
from c3dhub.learning.probing.transformer import VideoFeatures
from c3dhub.networks import VideoNetwork


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return six_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture
def model(tiny: VideoNetwork, tmp_path: Path) -> str:
    return str(tiny.save_pretrained(tmp_path / "model"))


def test_features_are_computed_once(
    paths: list[Path], tiny: VideoNetwork, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = computed(monkeypatch)
    first = VideoFeatures(tiny).transform(paths)
    assert len(seen) == len(stored(home)) == 6
    np.testing.assert_array_equal(VideoFeatures(tiny).transform(paths[::-1]), first[::-1])
    assert len(seen) == 6
    kept = load_features(stored(home)[0])
    assert kept.provenance["clip_rule"]["clip_len"] == 16


def test_the_key_is_the_content_not_the_name_or_the_time(
    paths: list[Path],
    tiny: VideoNetwork,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = computed(monkeypatch)
    video = tmp_path / "v.mp4"
    video.write_bytes(paths[0].read_bytes())
    first = VideoFeatures(tiny).transform([video])
    moved = video.rename(tmp_path / "w.mp4")
    np.testing.assert_array_equal(VideoFeatures(tiny).transform([moved]), first)
    assert len(seen) == 1
    times = moved.stat().st_atime_ns, moved.stat().st_mtime_ns
    moved.write_bytes(paths[1].read_bytes())  # another video under the old name and time
    os.utime(moved, ns=times)
    np.testing.assert_array_equal(
        VideoFeatures(tiny).transform([moved]),
        VideoFeatures(tiny, cache=False).transform(paths[1:2]),
    )
    assert not np.array_equal(VideoFeatures(tiny).transform([moved]), first)


@pytest.mark.parametrize(
    "change",
    [
        {"stages": ("layer4",)},
        {"clip_len": 8},
        {"clip_stride": 3},
        {"frame_stride": 2},
        {"fps": 10.0},
        {"tail": "zero"},
        {"precision": "bfloat16"},
        {"decode": "fast"},
    ],
)
@pytest.mark.filterwarnings("ignore:this CPU:UserWarning")
def test_another_setting_has_another_key(
    change: dict[str, Any], paths: list[Path], tiny: VideoNetwork, home: Path
) -> None:
    VideoFeatures(tiny).transform(paths[:1])
    VideoFeatures(tiny, **change).transform(paths[:1])
    assert len(stored(home)) == 2


def test_other_weights_have_another_key_and_pooling_has_not(
    paths: list[Path], tiny: VideoNetwork, home: Path
) -> None:
    VideoFeatures(tiny).transform(paths[:1])
    VideoFeatures(tiny, pooling="max", batch_size=3).transform(paths[:1])
    assert len(stored(home)) == 1
    changed = copy.deepcopy(tiny)
    changed.get_parameter("conv1.weight").data.mul_(0.5)  # torch does not count this
    VideoFeatures(changed).transform(paths[:1])
    assert len(stored(home)) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_damaged_files_are_made_anew(
    damage: str, paths: list[Path], tiny: VideoNetwork, home: Path
) -> None:
    expected = VideoFeatures(tiny).transform(paths[:1])
    [file] = stored(home)
    data = bytearray(file.read_bytes())
    data[-2] ^= 0x40
    bad = {"cut": bytes(data[:-9]), "flipped": bytes(data), "empty": b"", "other": b"x" * 99}
    file.write_bytes(bad[damage])
    np.testing.assert_array_equal(VideoFeatures(tiny).transform(paths[:1]), expected)
    np.testing.assert_array_equal(load_features(file).pooled.mean(axis=0), expected[0])


def test_a_folder_of_choice_or_none(
    paths: list[Path], tiny: VideoNetwork, home: Path, tmp_path: Path
) -> None:
    VideoFeatures(tiny, cache=tmp_path / "kept").transform(paths[:2])
    VideoFeatures(tiny, cache=False).transform(paths[:1])
    assert len(list((tmp_path / "kept").rglob("*.safetensors"))) == 2
    assert stored(home) == []


def test_a_folder_that_cannot_be_written_costs_only_time(
    paths: list[Path], tiny: VideoNetwork, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    rows = VideoFeatures(tiny, cache=tmp_path / "file").transform(paths[:2])
    assert not np.isnan(rows).any()
    assert [r.message for r in caplog.records if "cannot be kept" in r.message] != []


def test_a_killed_run_keeps_what_it_had(
    paths: list[Path], model: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys, time, c3dhub.learning.probing.frozen_features as frozen\n"
        "from c3dhub import VideoFeatures\n"
        "original = frozen.extract\n"
        "def slow(*given, **options):\n"
        "    for number, result in enumerate(original(*given, **options)):\n"
        "        if number == 2: print('two are done', flush=True); time.sleep(600)\n"
        "        yield result\n"
        "frozen.extract = slow\n"
        "VideoFeatures(sys.argv[1], device='cpu').transform(sys.argv[2:])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, model, *map(str, paths)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "two are done\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(stored(home)) == 2
    seen = computed(monkeypatch)
    VideoFeatures(model, device="cpu").transform(paths)
    assert seen == paths[2:]
