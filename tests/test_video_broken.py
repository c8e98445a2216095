"""Files that are damaged, cut off, or not what their name says: a clear error, or what is left."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from make_video import frame_number, numbered_image, write_audio, write_video

from c3dhub.base.errors import VideoError
from c3dhub.video import open_video

# A key frame every 10 and one packet per frame: damage is easy to place.
SIMPLE = {"g": "10", "bf": "0", "threads": "1"}
FAST_START = {"movflags": "faststart"}


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """Forty frames that are hard to compress, with the header first."""
    noise = np.random.default_rng(0).integers(-30, 30, (40, 48, 64, 3))
    frames = [np.uint8(numbered_image(number) + noise[number]) for number in range(40)]
    return write_video(tmp_path / "noisy.mp4", frames, options=SIMPLE, container_options=FAST_START)


def spoiled(path: Path, packet_number: int, spoil: Callable[[bytearray], None]) -> bytes:
    """Return the file with one of its video packets changed in place."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    packet = packets[packet_number]
    data = bytearray(path.read_bytes())
    part = data[packet.pos : packet.pos + packet.size]
    spoil(part)
    data[packet.pos : packet.pos + packet.size] = part
    return bytes(data)


def make_undecodable(part: bytearray) -> None:
    part[:] = b"\0" * len(part)


def damage_the_end(part: bytearray) -> None:
    part[len(part) // 2 :] = b"\x55" * (len(part) - len(part) // 2)


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("packet", [13, 37, 39])
def test_an_error_in_the_middle_keeps_what_came_before(
    noisy: Path, packet: int, threads: int
) -> None:
    data = spoiled(noisy, packet, make_undecodable)
    with open_video(data, threads=threads) as video:
        assert [frame_number(frame.to_rgb()) for frame in video] == list(range(packet))
        assert video.warnings == [
            f"decoding stopped at frame {packet}: invalid data found when processing input"
        ]
    with open_video(data, threads=threads, errors="strict") as video:
        with pytest.raises(VideoError, match=f"decoding stopped at frame {packet}") as caught:
            list(video)
        assert isinstance(caught.value.__cause__, av.FFmpegError)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_damaged_frames_are_kept_and_counted(noisy: Path, threads: int) -> None:
    data = spoiled(noisy, 17, damage_the_end)
    with open_video(data, threads=1) as video:
        expected = [frame.to_rgb().tobytes() for frame in video]
    with open_video(data, threads=threads) as video:
        assert [frame.to_rgb().tobytes() for frame in video] == expected
        assert len(expected) == 40
        assert video.warnings == ["1 frame(s) are damaged: the decoder filled the gaps as it could"]
    with (
        open_video(data, threads=threads, errors="strict") as video,
        pytest.raises(VideoError, match="frame 17 is damaged"),
    ):
        list(video)


@pytest.mark.parametrize("threads", [1, 8])
def test_a_file_that_was_cut_off_gives_the_frames_that_are_there(noisy: Path, threads: int) -> None:
    data = noisy.read_bytes()
    with open_video(data[: len(data) * 6 // 10], threads=threads) as video:
        found = [frame_number(frame.to_rgb()) for frame in video]
        assert len(video.warnings) == 1
    assert 10 < len(found) < 35
    assert found == list(range(len(found)))


def test_a_header_that_promises_too_much_is_a_warning_and_no_error(tmp_path: Path) -> None:
    data = bytearray(write_video(tmp_path / "v.avi", 10, codec="mpeg4").read_bytes())
    at = data.index(b"strh") + 8 + 32  # the frame count of the stream
    assert int.from_bytes(data[at : at + 4], "little") == 10
    data[at : at + 4] = (14).to_bytes(4, "little")
    for errors in ("raise", "strict"):
        with open_video(bytes(data), errors=errors) as video:
            assert len(list(video)) == 10
            assert video.warnings == ["the header says 14 frames, 10 were decoded"]


def test_a_file_without_any_frame_is_an_error(noisy: Path) -> None:
    data = bytearray(noisy.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    with pytest.raises(VideoError, match="no frame of the 40 that the header promises"):
        list(open_video(bytes(data)))


def test_a_header_without_frames_is_an_error(noisy: Path) -> None:
    data = noisy.read_bytes()
    with pytest.raises(VideoError, match="no frame of the 40"):
        list(open_video(data[: data.index(b"mdat") + 4]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty; copy or download it again"),
        (b"This is a text about a video. " * 50, "FFmpeg cannot read it as a video"),
        (b"#EXTM3U\n#EXTINF:10,\nclip.ts\n#EXT-X-ENDLIST\n", "a list that points to other files"),
        (b"ffconcat version 1.0\nfile 'clip.mp4'\n", "a list that points to other files"),
        (b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "points to other files"),
    ],
)
def test_files_that_only_are_called_video(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=said) as caught:
        open_video(path)
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_playlists_do_not_open_the_files_that_they_name(
    tmp_path: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    segment = write_video(tmp_path / "clip.ts", 10)
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{segment}\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile {noisy.name}\n"
    for text in (hls, concat):
        for source in (text.encode(), tmp_path / "list.mp4"):
            (tmp_path / "list.mp4").write_text(text)
            with pytest.raises(VideoError, match="give the video file itself"):
                open_video(source)


def test_an_mp4_without_its_index_says_that_it_is_incomplete(tmp_path: Path) -> None:
    data = write_video(tmp_path / "v.mp4", 10).read_bytes()
    with pytest.raises(VideoError, match=r"mp4 file .* incomplete") as caught:
        open_video(data[: data.index(b"moov") - 4])
    assert isinstance(caught.value.__cause__, av.FFmpegError)


def test_empty_memory_and_empty_file_objects_are_errors(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="the data is empty"):
        open_video(b"")
    (tmp_path / "empty").write_bytes(b"")
    with (tmp_path / "empty").open("rb") as file, pytest.raises(VideoError, match="is empty"):
        open_video(file)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="there is no such file; check the path"):
        open_video(tmp_path / "none.mp4")
    with pytest.raises(VideoError, match="cannot be read"):
        open_video("a\0b.mp4")
    with pytest.raises(VideoError, match="cannot be read"):
        open_video("a" * 5000)


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="needs device files")
def test_a_device_is_no_video() -> None:
    with pytest.raises(VideoError, match="neither a file nor a folder"):
        open_video("/dev/null")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "v.mp4", 2)
    if os.access(path, os.R_OK) and os.name == "posix" and os.geteuid() != 0:
        path.chmod(stat.S_IWUSR)
    else:  # the administrator may read everything

        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        monkeypatch.setattr("c3dhub.video.images.os.scandir", refuse)
        with pytest.raises(VideoError, match="the folder cannot be read: permission denied"):
            open_video(tmp_path)
    with pytest.raises(VideoError, match="permission denied; give this user the right"):
        open_video(path)


def test_a_file_that_goes_away_before_a_second_pass(noisy: Path, tmp_path: Path) -> None:
    path = tmp_path / "spoiled.mp4"
    path.write_bytes(spoiled(noisy, 20, make_undecodable))
    with open_video(path, threads=4) as video:
        rows = iter(video)
        next(rows)
        path.unlink()
        with pytest.raises(VideoError, match="it cannot be opened again"):
            list(rows)
    assert video.sha256() is None


def test_a_stream_without_a_decoder_is_an_error(tmp_path: Path) -> None:
    data = write_video(tmp_path / "v.mkv", 3, codec="ffv1").read_bytes()
    with pytest.raises(VideoError, match="no decoder for its video stream"):
        open_video(data.replace(b"V_FFV1", b"V_NONE"))


def test_nothing_is_written_to_stderr(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open_video(spoiled(noisy, 13, damage_the_end)) as video:
        list(video)
    assert capfd.readouterr() == ("", "")


def test_pixels_that_cannot_be_converted_are_a_video_error(
    noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_video(noisy) as video:
        frame = next(iter(video))

    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("Conversion is not supported")

    from c3dhub.video.orientation import UPRIGHT
    from c3dhub.video.pictures import to_rgb

    class Strange:
        format = av.VideoFormat("yuv420p")
        reformat = staticmethod(refuse)

    assert frame.to_rgb().shape == (48, 64, 3)
    with pytest.raises(VideoError, match="yuv420p pictures cannot be converted to RGB: conversion"):
        to_rgb("v.mp4", Strange(), UPRIGHT)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(25))
def test_flipped_bits_give_frames_or_a_video_error_and_nothing_else(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    name, how = chance.choice(
        [
            ("v.mp4", {}),
            ("v.mkv", {"codec": "ffv1"}),
            ("v.webm", {"codec": "libvpx"}),
            ("v.avi", {"codec": "mpeg4"}),
            ("v.gif", {"codec": "gif"}),
            ("v.mov", {"codec": "png", "size": (32, 16)}),
        ]
    )
    data = bytearray(write_video(tmp_path / name, 5, **how).read_bytes())  # type: ignore[arg-type]
    for _ in range(chance.choice([1, 5, 50])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    results = []
    for threads in (1, 3):
        try:
            with open_video(bytes(data), threads=threads) as video:
                frames = [(frame.seconds, frame.to_rgb().shape) for frame in video]
            assert [second for second, _ in frames] == sorted(second for second, _ in frames)
            results.append(str((frames, video.warnings)))
        except VideoError as error:
            results.append(error.reason)
    assert results[0] == results[1]


def test_the_cover_of_a_sound_file_is_not_decoded(tmp_path: Path) -> None:
    data = write_audio(tmp_path / "a.m4a", cover=True).read_bytes()
    with pytest.raises(VideoError, match="1 audio stream and 1 cover picture"):
        open_video(data)
