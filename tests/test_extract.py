"""From a video to features: the right frames in the right clips, and honest provenance."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from make_video import frame_number, write_video
from PIL import Image
from torch import Tensor

import c3dhub
from c3dhub.clips.reading import Clip, read_clips
from c3dhub.clips.rule import ClipRule
from c3dhub.extract import extract_features
from c3dhub.extraction.options import ComputeOptions
from c3dhub.hub import create_model
from c3dhub.networks import VideoNetwork
from c3dhub.video import open_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 40 numbered frames at 10 frames per second."""
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", 40, fps=10)


def clips_of(path: Path, rule: ClipRule, network: VideoNetwork) -> list[Clip]:
    with open_video(path) as source:
        return list(read_clips(source, rule=rule, transform=network.transforms))


def numbers(clip: Clip) -> list[int]:
    return [frame_number(image.numpy()) for image in clip.frames]


def test_clips_hold_the_frames_that_the_rule_names(video: Path, tiny: VideoNetwork) -> None:
    clips = clips_of(video, ClipRule(), tiny)
    assert [numbers(clip) for clip in clips] == [
        list(range(16)),
        list(range(16, 32)),
        [*range(32, 40), *range(32, 40)],
    ]
    assert [c.span.start_seconds for c in clips] == pytest.approx([0.0, 1.6, 3.2])
    assert [c.span.end_seconds for c in clips] == pytest.approx([1.6, 3.2, 4.0])
    assert [c.span.n_valid for c in clips] == [16, 16, 8]
    assert [(c.span.start_frame, c.span.end_frame) for c in clips] == [(0, 16), (16, 32), (32, 40)]


def test_overlapping_strided_and_centred_clips(video: Path, tiny: VideoNetwork) -> None:
    rule = ClipRule(clip_len=4, frame_stride=2, clip_stride=10, align="center", tail="repeat_last")
    clips = clips_of(video, rule, tiny)
    assert [numbers(clip) for clip in clips] == [
        [0, 0, 0, 2], [6, 8, 10, 12], [16, 18, 20, 22], [26, 28, 30, 32],
    ]  # fmt: skip
    assert (clips[0].span.start_frame, clips[0].span.end_frame, clips[0].span.n_valid) == (0, 3, 2)


def test_fps_picks_frames_by_their_timestamps(tmp_path: Path, tiny: VideoNetwork) -> None:
    pts = [0, 100, 250, 260, 500, 900, 1000, 1100]
    path = write_video(tmp_path / "v.mp4", len(pts), pts=pts)
    (clip,) = clips_of(path, ClipRule(clip_len=5, fps=4.0, end=1.2), tiny)
    assert numbers(clip) == [0, 2, 4, 4, 6]
    assert clip.span.end_seconds == pytest.approx(1.25)


def test_start_and_end_choose_a_span_and_keep_the_frame_numbers(
    video: Path, tiny: VideoNetwork
) -> None:
    (clip,) = clips_of(video, ClipRule(clip_len=4, start=1.0, end=1.35), tiny)
    assert numbers(clip) == [10, 11, 12, 13]
    assert (clip.span.start_frame, clip.span.start_seconds) == (10, 1.0)


def test_a_span_without_frames_is_an_error_that_says_where_the_video_ends(
    video: Path, tiny: VideoNetwork
) -> None:
    with pytest.raises(c3dhub.VideoError, match=r"start=9\.0 .*last frame seen is at 3\.900 s"):
        extract_features(video, model=tiny, start=9.0)


def test_black_frames_complete_a_clip_with_tail_zero(video: Path, tiny: VideoNetwork) -> None:
    clip = clips_of(video, ClipRule(tail="zero"), tiny)[-1]
    assert not clip.frames[8:].any()
    assert clip.frames[:8].any()


def by_hand(path: Path, network: VideoNetwork, clip_len: int = 16) -> np.ndarray:
    """Features computed apart from c3dhub's pipeline: PyAV, PIL, numpy, the plain network."""
    with av.open(path) as container:
        images = [frame.to_image() for frame in container.decode(video=0)]
    mean = np.array([114.7748, 107.7354, 99.4750], np.float32)
    rows = []
    for start in range(0, len(images), clip_len):
        own = images[start : start + clip_len]
        frames = []
        for k in range(clip_len):
            image = own[k % len(own)]
            w, h = image.size
            size = (112, int(112 * h / w)) if w < h else (int(112 * w / h), 112)
            image = image.resize(size, Image.Resampling.BILINEAR)
            left, top = (round((side - 112) / 2) for side in image.size)
            crop = image.crop((left, top, left + 112, top + 112))
            frames.append(np.asarray(crop, np.float32) - mean)
        clip = torch.from_numpy(np.stack(frames).transpose(3, 0, 1, 2)[None])
        with torch.no_grad():
            rows.append(network.forward_stages(clip, ("avgpool",))["avgpool"].numpy())
    return np.concatenate(rows)


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def scenery(n: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Moving waves of colour, uint8 (H, W, 3) each."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    waves = [(0.11, 0.05), (0.03, 0.13), (0.07, -0.09)]
    return [
        np.stack([127 + 120 * np.sin(a * x + b * y + i / 4) for a, b in waves], -1).astype(np.uint8)
        for i in range(n)
    ]


@pytest.mark.parametrize("size", [(160, 120), (96, 128), (224, 126)])
def test_features_agree_with_a_computation_by_pil(
    tmp_path: Path, tiny: VideoNetwork, size: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "v.mp4", scenery(37, size))
    features = extract_features(path, model=tiny)
    assert features.pooled.dtype == np.float32
    assert relative(features.pooled, by_hand(path, tiny)) < 2e-3


def test_the_three_lines_of_the_readme(video: Path, tiny: VideoNetwork) -> None:
    features = tiny.extract_features(video)
    assert features.pooled.shape == (3, tiny.num_features)
    assert features.start_seconds.tolist() == pytest.approx([0.0, 1.6, 3.2])
    assert features.n_valid_frames.tolist() == [16, 16, 8]
    same = c3dhub.extract_features(video, model=tiny)
    np.testing.assert_array_equal(same.pooled, features.pooled)


def test_every_stage_pooled_and_as_maps(video: Path, tiny: VideoNetwork) -> None:
    pooled = extract_features(video, model=tiny, stages=tiny.stage_names)
    maps = extract_features(video, model=tiny, stages=tiny.stage_names, pool=False)
    assert pooled.stages == tiny.stage_names
    for stage in ("stem", "layer1", "layer2", "layer3", "layer4"):
        assert maps[stage].ndim == 5
        np.testing.assert_allclose(maps[stage].mean((2, 3, 4)), pooled[stage], atol=1e-5)
    np.testing.assert_allclose(maps.pooled, pooled["layer4"], atol=1e-5)
    assert maps["logits"].shape == (3, 5)


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_the_batch_size_does_not_change_the_features(
    video: Path, tiny: VideoNetwork, batch_size: int
) -> None:
    options = {"clip_len": 8, "clip_stride": 3}
    whole = extract_features(video, model=tiny, batch_size=64, **options)  # type: ignore[arg-type]
    parts = extract_features(video, model=tiny, batch_size=batch_size, **options)  # type: ignore[arg-type]
    np.testing.assert_allclose(parts.pooled, whole.pooled, rtol=1e-4, atol=1e-5)


def test_a_batch_that_does_not_fit_is_halved(
    video: Path, tiny: VideoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = extract_features(video, model=tiny, batch_size=3)
    sizes: list[int] = []
    form = tiny.prepared(ComputeOptions())
    original = form.forward_stages

    def small(clips: Tensor, stages: tuple[str, ...]) -> dict[str, Tensor]:
        sizes.append(len(clips))
        if len(clips) > 1:
            raise torch.OutOfMemoryError("no room")
        return original(clips, stages)

    monkeypatch.setattr(form, "forward_stages", small)
    features = extract_features(video, model=tiny, batch_size=3)
    assert sizes == [3, 2, 1, 1, 1]
    np.testing.assert_allclose(features.pooled, expected.pooled, rtol=1e-4, atol=1e-5)


def test_other_errors_of_the_network_are_not_hidden(
    video: Path, tiny: VideoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("device gone")

    monkeypatch.setattr(tiny.prepared(ComputeOptions()), "forward_stages", broken)
    with pytest.raises(RuntimeError, match="device gone"):
        extract_features(video, model=tiny)


def test_a_network_in_training_mode_is_used_as_in_eval_and_left_alone(video: Path) -> None:
    torch.manual_seed(0)
    network = create_model("resnet10", num_classes=5, width=8, device="cpu")
    state = {name: value.clone() for name, value in network.state_dict().items()}
    assert network.training
    features = extract_features(video, model=network)
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name])
    network.eval()
    np.testing.assert_allclose(
        features.pooled, extract_features(video, model=network).pooled, rtol=1e-5
    )


def test_training_on_makes_new_features(video: Path) -> None:
    torch.manual_seed(0)
    network = create_model("resnet10", num_classes=5, width=8, device="cpu")
    before = extract_features(video, model=network)
    with torch.no_grad():
        network.get_parameter("layer4.0.conv1.weight").mul_(0.5)
    after = extract_features(video, model=network)
    assert relative(after.pooled, before.pooled) > 0.01


def test_provenance_says_where_the_features_come_from(video: Path, tiny: VideoNetwork) -> None:
    features = extract_features(video, model=tiny, clip_len=8, fps=5.0, tail="drop")
    p = features.provenance
    assert p["c3dhub_version"] == c3dhub.__version__
    assert p["model"] == {"name": "resnet10", "architecture": "resnet10", "weights_sha256": None}
    assert p["clip_rule"]["clip_len"] == p["clip_rule"]["clip_stride"] == 8
    assert (p["clip_rule"]["fps"], p["clip_rule"]["tail"]) == (5.0, "drop")
    assert p["source"] == {
        "name": "v.mp4",
        "size_bytes": video.stat().st_size,
        "sha256": hashlib.sha256(video.read_bytes()).hexdigest(),
    } | {"name": p["source"]["name"]}
    assert p["source"]["name"].endswith("v.mp4")
    assert (p["precision"], p["device"], p["stages"], p["pool"]) == (
        "float32", "cpu", ["avgpool"], True,
    )  # fmt: skip


def test_arrays_tensors_bytes_and_files_give_the_same_clips(
    video: Path, tiny: VideoNetwork
) -> None:
    expected = extract_features(video, model=tiny).pooled
    with open_video(video) as source:
        frames = np.stack([frame.to_rgb() for frame in source])
    with video.open("rb") as file:
        for form in (frames, torch.from_numpy(frames), video.read_bytes(), file, str(video)):
            again = extract_features(form, model=tiny)
            np.testing.assert_allclose(again.pooled, expected, rtol=1e-4, atol=1e-5)


def test_the_paper_rule_may_give_no_clip_and_says_so(tmp_path: Path, tiny: VideoNetwork) -> None:
    path = write_video(tmp_path / "v.mp4", 16)
    features = extract_features(path, model=tiny, preset="paper2018", stages=("layer4", "avgpool"))
    assert features.pooled.shape == (0, tiny.num_features)
    assert features["layer4"].shape == (0, tiny.num_features)
    assert len(features) == 0
    assert "at most 16 frames" in features.warnings[0]
    maps = extract_features(path, model=tiny, preset="paper2018", stages=("layer4",), pool=False)
    assert maps["layer4"].shape == (0, tiny.num_features, 1, 4, 4)


def test_drop_says_when_it_had_to_loop_after_all(tmp_path: Path, tiny: VideoNetwork) -> None:
    path = write_video(tmp_path / "v.mp4", 5)
    features = extract_features(path, model=tiny, tail="drop")
    assert features.n_valid_frames.tolist() == [5]
    assert "too short for a whole clip" in features.warnings[0]


def test_a_64_frame_network_takes_64_frames_by_itself(video: Path) -> None:
    network = create_model("resnet10", num_classes=2, width=8, clip_len=64, device="cpu")
    features = extract_features(video, model=network)
    assert features.n_valid_frames.tolist() == [40]
    assert features.provenance["clip_rule"]["clip_len"] == 64


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stages": ("layer5",)}, ValueError, "layer5.*Did you mean"),
        ({"stages": "avgpool"}, TypeError, r"\('avgpool',\)"),
        ({"stages": ()}, ValueError, "stages is empty"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"clip_len": -1}, ValueError, "clip_len is -1"),
        ({"precision": "float8"}, ValueError, "precision is 'float8'"),
        ({"precision": "float16"}, ValueError, "use 'bfloat16' or 'float32' here"),
        ({"errors": "ignore"}, ValueError, "ignore"),
        ({"model": "resnet50_kinetcs"}, c3dhub.UnknownModelError, "resnet50_kinetics"),
        ({"model": "resnet50"}, c3dhub.UnknownModelError, "create_model"),
        ({"model": 5}, TypeError, "name is 5"),
    ],
)
def test_wrong_options_are_refused(
    video: Path,
    tiny: VideoNetwork,
    options: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        extract_features(video, **{"model": tiny, **options})  # type: ignore[arg-type]


def test_extreme_frames_are_refused_by_number(tmp_path: Path, tiny: VideoNetwork) -> None:
    frames = np.zeros((3, 4, 400, 3), np.uint8)
    with pytest.raises(c3dhub.VideoError, match="frame 0: the frames are 400x4"):
        extract_features(frames, model=tiny)


MEMORY = """
import resource, sys, torch
from c3dhub.hub import create_model
from c3dhub.extract import extract_features
torch.set_num_threads(1)
model = create_model("resnet10", num_classes=5, width=16, device="cpu")
features = extract_features(sys.argv[1], model=model)
print(len(features), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_memory_does_not_grow_with_the_length_of_the_video(tmp_path: Path) -> None:
    assert resource is not None
    frames = scenery(30, (320, 240))
    peaks = []
    for seconds in (12, 120):
        path = write_video(
            tmp_path / f"{seconds}.mp4", (frames[i % 30] for i in range(seconds * 30))
        )
        out = subprocess.run(
            [sys.executable, "-c", MEMORY, str(path)],
            capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        n_clips, peak = map(int, out.stdout.split())
        assert n_clips == -(-seconds * 30 // 16)
        peaks.append(peak)
    assert peaks[1] <= 1.08 * peaks[0]
