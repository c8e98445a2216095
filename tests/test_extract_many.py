"""Many videos in one go: batches run across them, and every row finds its video again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from make_video import write_video
from torch import Tensor

import c3dhub
from c3dhub.base.errors import VideoError
from c3dhub.clips.reading import ClipSpan
from c3dhub.clips.rule import ClipRule
from c3dhub.extract import extract_features, extract_many
from c3dhub.extraction.clip_network import Rows
from c3dhub.extraction.features import Features
from c3dhub.extraction.options import ReadOptions
from c3dhub.extraction.pipeline import Batch, Ended, Opened, Reading, compute, read_batches
from c3dhub.networks import VideoNetwork

LENGTHS = (40, 3, 16, 100, 1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    return [write_video(folder / f"{n}.mp4", n, size=(128, 128)) for n in LENGTHS]


def test_every_video_gets_the_features_that_it_gets_alone(
    videos: list[Path], tiny: VideoNetwork
) -> None:
    found = list(extract_many(videos, model=tiny, stages=("avgpool", "layer2"), batch_size=4))
    assert [video for video, _ in found] == videos
    for video, features in found:
        alone = extract_features(video, model=tiny, stages=("avgpool", "layer2"))
        assert isinstance(features, Features)
        assert features.provenance == alone.provenance
        for name in ("start_seconds", "end_seconds", "start_frame", "end_frame", "n_valid_frames"):
            np.testing.assert_array_equal(getattr(features, name), getattr(alone, name))
        for stage in ("avgpool", "layer2"):
            np.testing.assert_allclose(features[stage], alone[stage], rtol=1e-4, atol=1e-5)


def test_batches_run_across_videos(videos: list[Path], tiny: VideoNetwork) -> None:
    events = read_batches(videos, Reading(ClipRule(), tiny.transforms, ReadOptions(batch_size=4)))
    batches = [event for event in events if isinstance(event, Batch)]
    assert [len(batch.frames) for batch in batches] == [4, 4, 4, 1]  # 3 + 1 + 1 + 7 + 1 clips
    owners = [number for batch in batches for number, _ in batch.owners]
    assert [(n, len(list(group))) for n, group in groupby(owners)] == [
        (0, 3), (1, 1), (2, 1), (3, 7), (4, 1),
    ]  # fmt: skip


def test_a_bad_video_is_yielded_with_its_error(
    videos: list[Path], tiny: VideoNetwork, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    missing = tmp_path / "missing.mp4"
    given_videos = [videos[0], broken, missing, videos[1]]
    found = list(extract_many(given_videos, model=tiny))
    assert [video for video, _ in found] == given_videos
    assert [type(result) for _, result in found] == [Features, VideoError, VideoError, Features]
    assert "missing.mp4" in str(found[2][1])


def test_a_video_that_fails_midway_takes_its_rows_along(
    videos: list[Path], tiny: VideoNetwork, tmp_path: Path
) -> None:
    data = videos[3].read_bytes()
    place = data.rindex(b"mdat") if b"mdat" in data else len(data) // 2
    damaged = bytearray(data)
    damaged[place + len(data) // 3 : place + len(data) // 3 + 400] = bytes(400)
    half = tmp_path / "half.mp4"
    half.write_bytes(damaged)
    found = dict(extract_many([half, videos[0]], model=tiny, errors="strict", batch_size=1))
    assert isinstance(found[half], VideoError)
    good = found[videos[0]]
    assert isinstance(good, Features)
    assert len(good) == 3


def test_nothing_and_generators_are_fine(videos: list[Path], tiny: VideoNetwork) -> None:
    assert list(extract_many([], model=tiny)) == []

    def endless() -> Iterator[Path]:
        while True:
            yield videos[1]

    found = extract_many(endless(), model=tiny)
    for _ in range(5):
        video, features = next(found)
        assert video == videos[1]
        assert isinstance(features, Features)
    found.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name == "c3dhub-ahead"]


def test_wrong_options_are_errors_before_any_video_is_opened(tiny: VideoNetwork) -> None:
    with pytest.raises(ValueError, match="clip_len"):
        extract_many(["missing.mp4"], model=tiny, clip_len=0)
    assert "extract_many" in c3dhub.__all__


def test_what_came_before_an_error_is_given_first(videos: list[Path], tiny: VideoNetwork) -> None:
    def failing() -> Iterator[Path]:
        yield from videos[:3]
        raise RuntimeError("the list broke off")

    items: list[Any] = [videos[0], videos[1], 12]
    cases: list[tuple[Any, int, type[Exception]]] = [
        (failing(), 3, RuntimeError),
        (items, 2, TypeError),
    ]
    for given_videos, n_good, kind in cases:
        found: list[Path] = []
        with pytest.raises(kind):  # noqa: PT012 - the loop is what raises, after its results
            for video, features in extract_many(given_videos, model=tiny, batch_size=3):
                assert isinstance(features, Features)
                found.append(video)  # type: ignore[arg-type]
        assert found == videos[:n_good]
    with pytest.raises(TypeError, match="or use extract_features"):
        extract_many("a.mp4", model=tiny)


def test_progress_counts_videos(
    videos: list[Path], tiny: VideoNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    list(extract_many(videos, model=tiny, progress=True))
    assert "5 videos of 5 videos" in capsys.readouterr().err
    extract_features(videos[0], model=tiny, progress=True)
    assert "3 clips of 3 clips" in capsys.readouterr().err


def _span(n: int) -> ClipSpan:
    return ClipSpan(float(n), n + 1.0, n, n + 1, 1)


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(0, 5), max_size=8),
    failing=st.sets(st.integers(0, 7)),
    size=st.integers(1, 4),
)
def test_rows_find_their_videos(counts: list[int], failing: set[int], size: int) -> None:
    clips = [(video, n) for video, count in enumerate(counts) for n in range(count)]

    def events() -> Iterator[Opened | Batch | Ended]:
        waiting: list[tuple[int, int]] = []
        for video, count in enumerate(counts):
            yield Opened(video, str(video), None)
            for n in range(count):
                waiting.append((video, n))
                if len(waiting) == size:
                    yield batch(waiting)
                    waiting = []
            error = VideoError(str(video), "broken") if video in failing else None
            yield Ended(video, count, error=error)
        if waiting:
            yield batch(waiting)

    def batch(owners: list[tuple[int, int]]) -> Batch:
        marks = [100 * video + n for video, n in owners]
        return Batch(torch.tensor(marks), [(video, _span(n)) for video, n in owners])

    def begin(frames: Tensor) -> object:
        rows: Rows = {"avgpool": frames.numpy().astype(np.float32)}
        return lambda: rows

    done: list[int] = []
    found = list(compute(events(), begin, clips_done=done.append))  # type: ignore[arg-type]
    assert sum(done) == len(clips)
    assert len(found) == len(counts)
    for video, rows in enumerate(found):
        assert rows.ended is not None
        assert rows.ended.number == video
        if video not in failing:
            values = [value for part in rows.arrays for value in part["avgpool"]]
            assert values == [100 * video + n for n in range(counts[video])]
            assert [span.start_frame for span in rows.spans] == list(range(counts[video]))
