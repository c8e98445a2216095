"""Pictures that no clip takes are not decoded, and nobody can tell from the clips."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_video import frame_number, write_video
from skipping_videos import (
    FRAMES,
    TRANSFORM,
    VIDEOS,
    assert_same,
    clips_of,
    clips_of_all,
    moving_images,
    outcome,
    rules,
)

from c3dhub.base.errors import VideoError
from c3dhub.clips.reading import read_clips
from c3dhub.clips.rule import ClipRule
from c3dhub.clips.sampling import FrameChoice
from c3dhub.video import Frame, open_video
from c3dhub.video.bitstream import Role, role_reader
from c3dhub.video.decoder import _Decoder


@pytest.fixture(scope="module")
def video_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("skipping")

    @functools.cache
    def write(name: str) -> Path:
        return write_video(folder / name, moving_images(), **VIDEOS[name][0])

    return write


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List the packets that reach the decoder while some are left out."""
    sent: list[int] = []
    decode = _Decoder._decode

    def listed(self: _Decoder, packet: Any) -> Any:
        sent.extend([] if packet is None else [packet.pts])
        return decode(self, packet)

    monkeypatch.setattr(_Decoder, "_decode", listed)
    return sent


@pytest.mark.parametrize("name", VIDEOS)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rule=rules, threads=st.sampled_from([1, 3]))
def test_clips_do_not_depend_on_what_is_left_out(
    video_of: Callable[[str], Path], name: str, rule: ClipRule, threads: int
) -> None:
    path = video_of(name)
    expected = outcome(lambda: clips_of_all(path, rule, threads=1))
    found = outcome(lambda: clips_of(path, rule, threads=threads))
    if isinstance(expected, str) or isinstance(found, str):
        assert found == expected
    else:
        assert_same(found, expected)


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("threads", [1, 2])
def test_what_no_clip_takes_is_not_decoded_where_that_is_safe(
    video_of: Callable[[str], Path],
    decoded: list[int],
    name: str,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = video_of(name)
    rule = ClipRule(clip_len=4, clip_stride=60)
    with monkeypatch.context() as patch:
        if VIDEOS[name][1] != "nothing":  # no second try that decodes everything
            patch.delattr(_Decoder, "_all_pictures")
        found = clips_of(path, rule, threads=threads)
    assert len(found[0]) == 2
    assert_same(found, clips_of_all(path, rule))
    least, most = {
        "stretches": (8, FRAMES // 2),
        "tail": (8, FRAMES * 2 // 3),
        "nothing": (0, 0),  # everything went the usual way
    }[VIDEOS[name][1]]
    assert least <= len(decoded) <= most


def test_indices_and_times_of_all_frames_stay_as_they_are(
    video_of: Callable[[str], Path],
) -> None:
    def rows(frames: Any) -> list[tuple[int, float, float]]:
        return [(frame.index, frame.seconds, frame.end_seconds) for frame in frames]

    for name in VIDEOS:
        with open_video(video_of(name)) as video:
            expected = rows(video)
        for stop in (0.0, 1.0):
            with open_video(video_of(name)) as video:
                assert rows(video.frames(needed=functools.partial(_is_before, stop))) == expected


def test_needed_is_asked_once_for_every_frame_in_order(video_of: Callable[[str], Path]) -> None:
    asked: list[tuple[float, float]] = []

    def needed(seconds: float, end_seconds: float) -> bool:
        asked.append((seconds, end_seconds))
        return len(asked) % 40 == 1

    with open_video(video_of("b_frames.mp4")) as video:
        frames = list(video.frames(needed=needed))
        assert asked == [(frame.seconds, frame.end_seconds) for frame in frames]
        # One that was not needed is decoded when somebody looks at it after all.
        assert [frame_number(frames[number].to_rgb()) for number in (40, 100)] == [40, 100]


def test_only_the_pictures_that_others_refer_to_are_decoded(
    video_of: Callable[[str], Path], decoded: list[int]
) -> None:
    # Every fourth frame is one that others refer to: I B b b or P b b b.
    with open_video(video_of("no_pyramid.mp4")) as video:
        for frame in video.frames(needed=lambda seconds, _: round(seconds * 30) % 9 in (0, 4)):
            if frame.index % 9 == 4:
                assert frame_number(frame.to_rgb()) == frame.index
    assert len(decoded) < FRAMES * 0.5


def test_start_leaves_out_what_lies_before(
    video_of: Callable[[str], Path], decoded: list[int]
) -> None:
    path = video_of("plain.mp4")
    clips, _ = clips_of(path, ClipRule(clip_len=4, clip_stride=100, start=3.3))
    assert [clip.span.start_frame for clip in clips] == [99]
    assert frame_number(clips[0].frames[0].numpy()) == 99
    assert len(decoded) == 103 - 96  # from the key frame


def test_strict_decodes_everything(video_of: Callable[[str], Path], decoded: list[int]) -> None:
    rule = ClipRule(clip_len=4, clip_stride=60)
    path = video_of("plain.mp4")
    assert_same(clips_of(path, rule, errors="strict"), clips_of_all(path, rule))
    assert decoded == []


def spoiled(path: Path, number: int, *, zero: bool) -> bytes:
    import av

    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][number]
        at, size = packet.pos or 0, packet.size
    data = bytearray(path.read_bytes())
    if zero:
        data[at : at + size] = bytes(size)
    else:
        data[at + size // 2 : at + size] = b"\x55" * (size - size // 2)
    return bytes(data)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("packet", [2, 61, 119])
def test_damage_among_what_is_decoded_ends_the_leaving_out(
    video_of: Callable[[str], Path], packet: int, zero: bool, threads: int
) -> None:
    data = spoiled(video_of("plain.mp4"), packet, zero=zero)
    rule = ClipRule(clip_len=6, clip_stride=57)  # frames 0-5, 57-62, 114-119
    assert_same(clips_of(data, rule, threads=threads), clips_of_all(data, rule, threads=1))


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "mpeg4"])
@given(extradata=st.binary(max_size=80), packet=st.binary(max_size=60))
def test_any_bytes_are_a_role_or_none(codec: str, extradata: bytes, packet: bytes) -> None:
    read_role = role_reader(codec, b"\1" + extradata)
    assert (read_role is None) or codec != "mpeg4"
    for reader in (read_role, role_reader("vp9", None)):
        if reader is not None:
            assert reader(packet) is None or isinstance(reader(packet), Role)


@pytest.mark.parametrize(
    ("first", "last", "role"),
    [
        (0x82, 0, Role(starts=True)),  # a key frame, shown
        (0x86, 0, Role(starts=False)),
        (0x88, 0, Role(starts=False)),  # an old picture, shown now
        (0x80, 0, None),  # a key frame that is not shown, by itself
        (0x84, 0, None),
        (0x84, 0xC1, Role(starts=False)),  # with one that is shown: a superframe
        (0xB3, 0, Role(starts=False)),  # profile 3: one bit more
        (0xB1, 0, Role(starts=True)),
        (0x42, 0, None),  # no VP9
    ],
)
def test_a_vp9_packet_is_one_shown_picture(first: int, last: int, role: Role | None) -> None:
    read_role = role_reader("vp9", None)
    assert read_role is not None
    assert read_role(bytes([first, 0, last])) == role


@pytest.mark.parametrize("seed", range(15))
def test_flipped_bits_give_clips_or_a_video_error_and_nothing_else(
    video_of: Callable[[str], Path], seed: int
) -> None:
    chance = random.Random(seed)
    names = [name for name, (_, what) in VIDEOS.items() if what == "stretches"]
    data = bytearray(video_of(chance.choice(names)).read_bytes())
    for _ in range(chance.choice([1, 5, 50])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    rule = ClipRule(clip_len=4, clip_stride=chance.choice([6, 30, 60]), fps=chance.choice([7, 45]))
    outcome(lambda: clips_of(bytes(data), rule, threads=2))


def test_a_file_that_was_cut_off_is_read_up_to_there(video_of: Callable[[str], Path]) -> None:
    data = video_of("pyramid.mkv").read_bytes()
    for tenths in range(2, 10):
        short = data[: len(data) * tenths // 10]
        rule = ClipRule(clip_len=2, clip_stride=7, frame_stride=2)
        assert_same(clips_of(short, rule), clips_of_all(short, rule))


def test_memory_holds_one_stretch_of_packets_and_few_frames(
    video_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, decoded: list[int]
) -> None:
    path = video_of("pyramid.mkv")
    rule = ClipRule(clip_len=4, clip_stride=60)
    for limit, value in (("MOST_PACKETS", 39), ("MOST_BYTES", 1000)):
        with monkeypatch.context() as patch:
            patch.setattr(f"c3dhub.video.skipping.{limit}", value)
            assert_same(clips_of(path, rule), clips_of_all(path, rule))
            assert decoded == []  # all packets went the usual way


def test_a_rule_that_takes_every_frame_makes_no_choice() -> None:
    assert FrameChoice.of(ClipRule()) is None
    assert FrameChoice.of(ClipRule(clip_stride=5, end=3.0)) is None
    assert FrameChoice.of(ClipRule(frame_stride=2, clip_len=7, clip_stride=7)) is None
    for rule in (ClipRule(clip_stride=17), ClipRule(frame_stride=2), ClipRule(fps=5)):
        assert FrameChoice.of(rule) is not None


@given(rules)
def test_the_choice_is_what_the_clips_take(rule: ClipRule) -> None:
    choice = FrameChoice(rule)
    chosen = {n for n in range(200) if choice(n / 30, (n + 1) / 30)}
    with open_video(np.zeros((200, 8, 8, 3), np.uint8), assumed_fps=30) as video:
        asked: set[int] = set()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Frame, "to_rgb", _listing(asked))
            try:
                list(read_clips(video, rule=rule, transform=TRANSFORM))
            except VideoError:
                assert not chosen
    within = {n for n in chosen if rule.end is None or n / 30 < rule.end}
    assert asked == within
    if FrameChoice.of(rule) is None:
        assert set(range(rule.span, 150)) - asked == set() or rule.end is not None


def _listing(asked: set[int]) -> Callable[[Frame], Any]:
    def to_rgb(frame: Frame) -> Any:
        asked.add(frame.index)
        return np.zeros((24, 24, 3), np.uint8)

    return to_rgb


def test_frames_between_are_consistent(video_of: Callable[[str], Path]) -> None:
    with open_video(video_of("vp9.webm")) as video:
        frames = list(video.frames(needed=lambda seconds, _: seconds > 3.9))
    assert all(a.end_seconds == b.seconds for a, b in itertools.pairwise(frames))
    assert frame_number(frames[119].to_rgb()) == 119


def _is_before(stop: float, seconds: float, _: float) -> bool:
    return seconds < stop
