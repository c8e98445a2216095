"""Evaluation reads the clips that features are extracted from, in one view or several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_videos import CONTRACT, grey, listed, numbers, some_videos, truncated
from make_video import write_video

from c3dhub.clips.reading import read_clips
from c3dhub.clips.rule import ClipRule
from c3dhub.clips.transforms import ClipTransform
from c3dhub.learning.datasets import (
    VideoList,
    View,
    evaluation_batches,
)
from c3dhub.video import open_video


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> VideoList:
    return some_videos(tmp_path_factory.mktemp("some"))


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_reads_the_clips_that_features_are_of(some: VideoList, workers: int) -> None:
    rule = ClipRule(clip_len=8, clip_stride=6)
    batches = list(
        evaluation_batches(some, contract=CONTRACT, rule=rule, batch_size=4, workers=workers)
    )
    assert all(len(batch) == 4 for batch in batches[:-1])
    frames = torch.cat([batch.frames for batch in batches])
    positions = torch.cat([batch.positions for batch in batches]).tolist()
    assert [entry.position for batch in batches for entry in batch.broken] == [4]
    expected, owners = [], []
    for position, item in enumerate(some.items):
        if position != 4:
            with open_video(item.path) as video:
                for clip in read_clips(video, rule=rule, transform=ClipTransform(CONTRACT)):
                    expected.append(clip.frames)
                    owners.append(position)
    assert positions == owners
    assert torch.equal(frames, torch.stack(expected))


def test_evaluation_shares_videos_among_processes(some: VideoList) -> None:
    rule = ClipRule(clip_len=8)
    for rank in (0, 1):
        batches = evaluation_batches(
            some, contract=CONTRACT, rule=rule, batch_size=3, rank=rank, world_size=2
        )
        found = {p for batch in batches for p in batch.positions.tolist()}
        assert found == {position for position in range(rank, 11, 2) if position != 4}


def test_evaluation_with_several_views(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:16, :40]
    image = np.stack([columns, rows, rows], axis=2).astype(np.uint8)
    videos = listed(write_video(tmp_path / "a.mov", [image] * 20, codec="png"))
    views = (View(column="left"), View(), View(column="right", is_flipped=True))
    batches = list(
        evaluation_batches(
            videos, contract=CONTRACT, rule=ClipRule(clip_len=8), batch_size=6, views=views
        )
    )
    assert [len(batch) for batch in batches] == [6, 3]
    first = batches[0].frames.numpy()
    assert np.array_equal(first[0, 0], image[:, :16])
    assert np.array_equal(first[1, 0], image[:, 12:28])
    assert np.array_equal(first[2, 7], image[:, 24:][:, ::-1])
    assert np.array_equal(first[:3], first[3:])


def test_evaluation_of_parts_and_of_a_video_that_breaks_off(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey(30), fps=10)
    videos = listed(path, truncated(tmp_path / "b.mp4"), spans=[(1.0, 1.8)])
    rule = ClipRule(clip_len=8)
    batches = list(evaluation_batches(videos, contract=CONTRACT, rule=rule, batch_size=1))
    assert numbers(batches[0].frames[0]) == list(range(10, 18))
    assert numbers(batches[1].frames[0]) == list(range(8))
    assert batches[1].positions.tolist() == [1]
    warnings = [entry for batch in batches for entry in batch.warnings]
    assert {entry.position for entry in warnings} == {1}
    assert not any(batch.broken for batch in batches)


def test_a_rule_that_gives_no_clip_is_reported(tmp_path: Path) -> None:
    videos = listed(write_video(tmp_path / "a.mp4", grey(8)))
    rule = ClipRule(clip_len=8, preset="paper2018")
    (batch,) = evaluation_batches(videos, contract=CONTRACT, rule=rule, batch_size=1)
    assert "gives no clip" in batch.broken[0].reason


def test_evaluation_without_a_view(some: VideoList) -> None:
    with pytest.raises(ValueError, match="views is empty"):
        evaluation_batches(some, contract=CONTRACT, rule=ClipRule(), batch_size=1, views=())
