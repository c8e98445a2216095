"""Frames of every kind of video file: number, order, pixels, timestamps, threads, limits."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from make_video import frame_number, numbered_image, write_audio, write_video

from c3dhub.base.errors import VideoError
from c3dhub.video import Frame, Video, open_video

QUIET = {"x265-params": "log-level=none"}


def numbers(video: Video) -> list[int]:
    return [frame_number(frame.to_rgb()) for frame in video]


def by_pyav(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.best("video"))
        return [np.array(frame.to_ndarray(format="rgb24")) for frame in frames]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_video(tmp_path / "plain.mp4", 20)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("odd_size.mp4", {"size": (321, 241), "pix_fmt": "yuv444p"}),
        ("ten_bit.mp4", {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": QUIET}),
        ("twelve_bit.mkv", {"codec": "libx265", "pix_fmt": "gray12le", "options": QUIET}),
        ("gray.mkv", {"codec": "ffv1", "pix_fmt": "gray"}),
        ("gray16.mkv", {"codec": "ffv1", "pix_fmt": "gray16le"}),
        ("alpha.mkv", {"codec": "ffv1", "pix_fmt": "yuva420p"}),
        ("alpha.mov", {"codec": "png", "pix_fmt": "rgba"}),
        ("deep.mov", {"codec": "png", "pix_fmt": "rgb48be"}),
        ("planar.mkv", {"codec": "ffv1", "pix_fmt": "gbrp10le"}),
        ("animated.gif", {"codec": "gif"}),
        ("full_range.mov", {"codec": "mjpeg", "size": (33, 17), "pix_fmt": "yuvj422p"}),
        ("raw.h264", {}),
        ("no_count.mkv", {}),
        ("no_duration.webm", {"codec": "libvpx-vp9", "container_options": {"live": "1"}}),
        ("vp8.webm", {"codec": "libvpx"}),
        ("b_frames.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
        ("broadcast.ts", {"options": {"flags": "+ilme+ildct"}, "audio_seconds": 0.4}),
        ("rgb.mov", {"codec": "png"}),
    ],
)
def test_every_format_gives_all_frames_as_pyav_does(
    tmp_path: Path, name: str, how: dict[str, Any]
) -> None:
    path = write_video(tmp_path / name, 12, **how)
    expected = by_pyav(path)
    with open_video(path) as video:
        frames = list(video)
    images = [frame.to_rgb() for frame in frames]  # after the video was closed
    assert [frame_number(image) for image in images] == list(range(12))
    for image, reference in zip(images, expected, strict=True):
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert image.flags.writeable
        np.testing.assert_array_equal(image, reference)
    assert [frame.index for frame in frames] == list(range(12))
    steps = np.diff([frame.seconds for frame in frames])
    assert np.abs(steps - 1 / 30).max() < 0.012
    assert all(a.end_seconds == b.seconds for a, b in itertools.pairwise(frames))


def test_a_plain_video_needs_no_warning(path: Path) -> None:
    with open_video(path) as video:
        assert (video.name, video.size_bytes) == (str(path), path.stat().st_size)
        assert (video.frame_rate, video.expected_frames) == (30.0, 20)
        frames = list(video)
        assert video.warnings == []
    assert [frame.seconds for frame in frames] == pytest.approx([i / 30 for i in range(20)])
    assert frames[-1].end_seconds == pytest.approx(20 / 30)
    assert repr(video) == f"Video({str(path)!r}, about 20 frames, 30 fps)"
    assert repr(frames[0]).startswith("Frame(index=0, seconds=0.0, end_seconds=0.03333")


def test_variable_frame_rate_and_a_late_start_are_kept(tmp_path: Path) -> None:
    pts = [8333, 8340, 9000, 9001, 12000, 12040]
    path = write_video(tmp_path / "vfr.mkv", 6, pts=pts)
    with open_video(path) as video:
        frames = list(video)
        assert video.warnings == []
    assert [frame.seconds for frame in frames] == [ms / 1000 for ms in pts]
    assert [frame.end_seconds for frame in frames[:-1]] == [ms / 1000 for ms in pts[1:]]


def test_mpeg4_in_avi_is_timed_from_zero_whatever_its_b_frames(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-30, 30, (40, 48, 64, 3))
    moving = [np.uint8(numbered_image(i) + noise[i]) for i in range(40)]
    for bf in ("0", "2"):
        options = {"bf": bf, "b_strategy": "0"}
        path = write_video(tmp_path / "b.avi", moving, codec="mpeg4", fps=25, options=options)
        with open_video(path) as video:
            assert [frame.seconds for frame in video] == pytest.approx([i / 25 for i in range(40)])
            assert video.warnings == []


def test_raw_h264_is_timed_by_the_rate_it_states(tmp_path: Path) -> None:
    path = write_video(tmp_path / "raw.h264", 5, fps=Fraction(50))
    with open_video(path) as video:
        assert [frame.seconds for frame in video] == pytest.approx([0, 0.02, 0.04, 0.06, 0.08])
        assert ["no usable timestamps" in warning for warning in video.warnings] == [True]


def test_the_size_may_change_in_the_middle(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.h264", 5, size=(64, 48)).read_bytes()
    large = write_video(tmp_path / "b.h264", 5, size=(96, 64)).read_bytes()
    with open_video(small + large) as video:
        sizes = [frame.to_rgb().shape for frame in video]
    assert sizes == [(48, 64, 3)] * 5 + [(64, 96, 3)] * 5


def test_the_best_video_stream_is_read_not_the_first(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("ffv1", rate=10) for _ in range(2)]
        for stream, size in zip(streams, [(16, 16), (64, 48)], strict=True):
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
        streams[1].disposition = Disposition.default
        for stream in streams:
            for number in range(4):
                size = (stream.width, stream.height)
                image = numbered_image(number if size == (64, 48) else 9, size)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
    with open_video(path) as video:
        assert numbers(video) == [0, 1, 2, 3]


def test_frames_do_not_depend_on_the_number_of_threads(path: Path) -> None:
    def read(threads: int) -> list[tuple[float, bytes]]:
        with open_video(path, threads=threads) as video:
            return [(frame.seconds, frame.to_rgb().tobytes()) for frame in video]

    assert read(1) == read(0) == read(3)


def test_a_frame_that_nobody_looks_at_is_not_converted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = []
    monkeypatch.setattr(
        "c3dhub.video.decoder.to_rgb", lambda name, frame, turn: converted.append(frame.pts)
    )
    with open_video(path) as video:
        for frame in video:
            if frame.index == 3:
                frame.to_rgb()
    assert len(converted) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_only_a_few_frames_are_held_at_a_time(tmp_path: Path, threads: int) -> None:
    # Without the garbage collector: decoded frames are large, and it would come too late.
    def alive(kind: type) -> int:
        return sum(type(thing) is kind for thing in gc.get_objects())

    path = write_video(tmp_path / "turned.mp4", 60, rotation=90)
    gc.collect()
    gc.disable()
    try:
        with open_video(path, threads=threads) as video:
            counts = [
                (alive(Frame), alive(av.VideoFrame)) for frame in video if frame.index % 5 == 0
            ]
    finally:
        gc.enable()
    assert max(frames for frames, _ in counts) <= 2
    assert max(decoded for _, decoded in counts) <= 12
    assert counts[-1][1] <= 5


def test_a_video_is_read_once(path: Path) -> None:
    with open_video(path) as video:
        assert len(list(video)) == 20
        with pytest.raises(VideoError, match="was read already; call open_video again"):
            iter(video)
    unread = open_video(path)
    unread.close()
    with pytest.raises(VideoError, match="is closed"):
        iter(unread)


def test_leaving_early_gives_everything_back(path: Path) -> None:
    with open_video(path) as video:
        frame = next(iter(video))
    frame.to_rgb()
    rows: Iterator[Frame] = iter(open_video(path))
    next(rows)
    del rows, video
    gc.collect()  # an unclosed file would be a ResourceWarning, which is an error here


def test_closing_ends_the_iteration_of_another_thread(path: Path) -> None:
    video = open_video(path)
    seen: list[int] = []
    running = threading.Event()

    def read() -> None:
        for frame in video:
            seen.append(frame.index)
            running.set()
            hold.wait(5)

    hold = threading.Event()
    reader = threading.Thread(target=read)
    reader.start()
    running.wait(5)
    video.close()
    video.close()
    hold.set()
    reader.join(10)
    assert seen == [0]


def test_a_sound_track_beside_the_video_does_not_matter(tmp_path: Path) -> None:
    path = write_video(tmp_path / "sound.mp4", 10, audio_seconds=0.4)
    with open_video(path) as video:
        assert numbers(video) == list(range(10))


@pytest.mark.parametrize("cover", [False, True])
def test_sound_alone_is_no_video_even_with_a_cover(tmp_path: Path, cover: bool) -> None:
    path = write_audio(tmp_path / "sound.m4a", cover=cover)
    with pytest.raises(VideoError, match="no video stream, only 1 audio stream") as caught:
        open_video(path)
    assert ("cover picture" in str(caught.value)) is cover
