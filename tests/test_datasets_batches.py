"""Lists of videos -> batches: the right frames, the same for any number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dataset_videos import CONTRACT, grey, listed, numbers, some_videos, truncated
from make_video import write_image, write_video

from c3dhub.clips.transforms import ClipTransform
from c3dhub.learning.datasets import (
    Augmentation,
    ClipBatch,
    VideoList,
    training_batches,
)
from c3dhub.networks import VideoNetwork
from c3dhub.video import open_video


def clips(videos: VideoList, **options: Any) -> list[ClipBatch]:
    """Return the batches of one epoch."""
    settings = {"clip_len": 8, "batch_size": 4, "seed": 0, "epoch": 0, **options}
    return list(training_batches(videos, contract=CONTRACT, **settings))


def drawn(path: Path, *, span: tuple[Any, Any] = (None, None), **options: Any) -> list[list[int]]:
    """Return the frame numbers of the clips of 60 epochs of one video."""
    videos = listed(path, spans=[span])
    epochs = (clips(videos, epoch=epoch, **options) for epoch in range(60))
    return [numbers(batch.frames[0]) for (batch,) in epochs]


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> VideoList:
    return some_videos(tmp_path_factory.mktemp("some"))


def same(ours: Sequence[ClipBatch], theirs: Sequence[ClipBatch]) -> bool:
    return len(ours) == len(theirs) and all(
        torch.equal(a.frames, b.frames)
        and torch.equal(a.labels, b.labels)
        and torch.equal(a.positions, b.positions)
        and a.broken == b.broken
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"options": {"g": "6"}}),
        ("a.mp4", {"options": {"g": "300", "bf": "0"}}),
        ("a.mkv", {"options": {"g": "6"}}),  # no number of frames in the header
        ("a.avi", {"codec": "ffv1"}),  # every frame is decoded
    ],
)
def test_clips_are_frames_in_a_row_from_every_place_of_the_video(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    found = drawn(write_video(tmp_path / name, grey(14), **options))
    assert all(clip == list(range(clip[0], clip[0] + 8)) for clip in found)
    assert {clip[0] for clip in found} == set(range(7))


def test_frame_stride(tmp_path: Path) -> None:
    found = drawn(write_video(tmp_path / "a.mp4", grey(26)), frame_stride=3)
    assert all(clip == list(range(clip[0], clip[0] + 22, 3)) for clip in found)
    assert {clip[0] for clip in found} == set(range(5))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_short_videos_are_looped_from_their_beginning(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"a{suffix}", grey(5))
    assert drawn(path)[0] == [0, 1, 2, 3, 4, 0, 1, 2]
    assert drawn(path, frame_stride=2)[0] == [0, 2, 4, 0, 2, 4, 0, 2]
    single = write_video(tmp_path / f"b{suffix}", grey(1))
    assert drawn(single)[0] == [0] * 8


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_clips_stay_between_start_and_end(tmp_path: Path, name: str) -> None:
    codec = "ffv1" if name == "a.avi" else "libx264"
    path = write_video(tmp_path / name, grey(40), fps=10, codec=codec)
    found = drawn(path, span=(1.0, 2.2))
    assert {clip[0] for clip in found} == set(range(10, 15))
    assert drawn(path, span=(3.7, None))[0] == [37, 38, 39, 37, 38, 39, 37, 38]
    assert {clip[0] for clip in drawn(path, span=(None, 0.95))} == {0, 1, 2}


def test_a_span_without_frames_is_reported(tmp_path: Path) -> None:
    videos = listed(write_video(tmp_path / "a.mp4", grey(9), fps=10), spans=[(7.0, 8.0)])
    (batch,) = clips(videos)
    assert batch.frames.shape == (0, 8, 16, 16, 3)
    assert batch.labels.shape == (0,)
    (broken,) = batch.broken
    assert "no frame lies between start=7.0 and end=8.0" in broken.reason


def test_a_folder_of_images(tmp_path: Path) -> None:
    for i, image in enumerate(grey(10)):
        write_image(tmp_path / f"{i}.png", image, codec="png")
    found = drawn(tmp_path)
    assert all(clip == list(range(clip[0], clip[0] + 8)) for clip in found)
    assert {clip[0] for clip in found} == {0, 1, 2}


def test_a_video_that_breaks_off_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    path = truncated(tmp_path / "a.mp4")
    with open_video(path) as video:
        assert video.expected_frames == 40
        count = sum(1 for _ in video)
    assert 10 < count < 35
    batches = [batch for epoch in range(60) for batch in clips(listed(path), epoch=epoch)]
    found = [numbers(batch.frames[0]) for batch in batches]
    assert all(clip == list(range(clip[0], clip[0] + 8)) for clip in found)
    assert max(clip[-1] for clip in found) == count - 1
    assert not any(batch.broken for batch in batches)
    warned = [batch.warnings[0] for batch in batches if batch.warnings]
    assert warned
    assert warned[0].path == str(path)
    assert f"{count}" in warned[0].reason


def test_the_crop_is_the_same_for_all_frames_of_a_clip(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:48, :64]
    image = np.stack([columns * 4, rows * 5, rows + columns], axis=2).astype(np.uint8)
    videos = listed(write_video(tmp_path / "a.mov", [image] * 12, codec="png"))
    shown = set()
    for epoch in range(30):
        (batch,) = clips(videos, epoch=epoch)
        frames = batch.frames[0]
        assert torch.equal(frames, frames[:1].expand_as(frames))
        shown.add(frames[0].numpy().tobytes())
    assert len(shown) > 15


def test_a_crop_with_known_pixels(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:32, :40]
    image = np.stack([columns, rows, rows], axis=2).astype(np.uint8)
    videos = listed(write_video(tmp_path / "a.mov", [image] * 9, codec="png"))
    corner = Augmentation(scales=(0.5,), positions=("bottom_right",), flip=0)
    (batch,) = clips(videos, augmentation=corner)
    assert np.array_equal(batch.frames[0, 3], image[16:, 24:])
    (batch,) = clips(videos, augmentation=Augmentation((0.5,), ("bottom_right",), 1))
    assert np.array_equal(batch.frames[0, 3], image[16:, 24:][:, ::-1])


def test_without_augmentation_frames_are_cropped_as_the_contract_says(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 8, size=(90, 48))
    (batch,) = clips(listed(path), augmentation=None)
    with open_video(path) as video:
        frames = np.stack([frame.to_rgb() for frame in video])
    assert torch.equal(batch.frames[0], ClipTransform(CONTRACT).resize(frames))


def test_batches_hold_every_video_once_and_report_the_broken(some: VideoList) -> None:
    batches = clips(some)
    assert [len(b) + len(b.broken) for b in batches] == [4, 4, 3]
    positions = torch.cat([batch.positions for batch in batches]).tolist()
    (broken,) = [entry for batch in batches for entry in batch.broken]
    assert sorted([*positions, broken.position]) == list(range(11))
    assert broken.position == 4
    assert broken.path.endswith("broken.mp4")
    assert broken.reason
    for batch in batches:
        assert batch.frames.dtype == torch.uint8
        assert batch.frames.shape == (len(batch), 8, 16, 16, 3)
        assert batch.labels.dtype == batch.positions.dtype == torch.int64
        assert torch.equal(batch.labels, batch.positions)


def test_any_number_of_workers_gives_the_same_batches(some: VideoList) -> None:
    alone = clips(some)
    assert same(alone, clips(some))
    assert same(alone, clips(some, workers=1))
    assert same(alone, clips(some, workers=2))
    assert not same(alone, clips(some, epoch=1))
    assert not same(alone, clips(some, seed=1))


def test_first_leaves_batches_out(some: VideoList) -> None:
    whole = clips(some)
    assert same(clips(some, first=1), whole[1:])
    assert same(clips(some, first=2, workers=1), whole[2:])
    assert clips(some, first=3) == []


def test_processes_together_read_the_batches_of_one(some: VideoList) -> None:
    whole = clips(some)
    parts = [clips(some, rank=rank, world_size=3) for rank in range(3)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([part.frames for part in shares]), batch.frames)
        assert torch.equal(torch.cat([part.positions for part in shares]), batch.positions)
        assert tuple(entry for part in shares for entry in part.broken) == batch.broken


def test_frames_that_are_far_too_long_are_reported(tmp_path: Path) -> None:
    videos = listed(write_video(tmp_path / "a.mp4", grey(9, (640, 16))))
    for augmentation in (None, Augmentation()):
        (batch,) = clips(videos, augmentation=augmentation)
        assert "frame" in batch.broken[0].reason
        assert "32 times" in batch.broken[0].reason


def test_the_network_normalises_a_batch(tiny: VideoNetwork, some: VideoList) -> None:
    contract = tiny.config.input
    batch = next(
        training_batches(some, contract=contract, clip_len=8, batch_size=2, seed=0, epoch=0)
    )
    logits = tiny(tiny.transforms.normalize(batch.frames))
    assert logits.shape == (len(batch), 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"epoch": True}, "epoch is True"),
        ({"first": -1}, "first is -1"),
        ({"workers": -1}, "workers is -1"),
        ({"rank": 2, "world_size": 2}, "rank is 2 and world_size 2"),
        ({"world_size": 0}, "world_size is 0"),
        ({"clip_len": 0}, "clip_len is 0"),
        ({"frame_stride": 0}, "frame_stride is 0"),
    ],
)
def test_wrong_options_are_refused_at_once(
    some: VideoList, options: dict[str, Any], message: str
) -> None:
    settings: dict[str, Any] = {"clip_len": 8, "batch_size": 4, "seed": 0, "epoch": 0, **options}
    with pytest.raises(ValueError, match=message):
        training_batches(some, contract=CONTRACT, **settings)
