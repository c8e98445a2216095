"""Sizes that are refused, and arguments that are wrong."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from make_video import write_video

from c3dhub.base.errors import VideoError
from c3dhub.video import open_video


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_video(tmp_path / "plain.mp4", 20)


def test_frames_beyond_max_pixels_are_refused_by_the_header(path: Path) -> None:
    with pytest.raises(VideoError, match=r"64x48 has 3072 pixels; at most max_pixels=3071") as e:
        open_video(path, max_pixels=3071)
    assert e.value.path == str(path)
    with open_video(path, max_pixels=3072) as video:
        assert len(list(video)) == 20


def test_frames_that_grow_beyond_max_pixels_are_refused_when_they_come(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.h264", 12, size=(64, 48)).read_bytes()
    large = write_video(tmp_path / "b.h264", 5, size=(96, 64)).read_bytes()
    with (
        open_video(small + large, max_pixels=4000) as video,
        pytest.raises(VideoError, match="96x64"),
    ):
        list(video)


@pytest.mark.parametrize("side", [65535, 20000, 9000])
@pytest.mark.parametrize("suffix", [".mp4", "/1.png"])
def test_a_picture_that_claims_an_absurd_size_is_refused(
    tmp_path: Path, side: int, suffix: str
) -> None:
    path = tmp_path / f"bomb{suffix}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(png(side, side))
    with pytest.raises(VideoError, match="max_pixels"):
        list(open_video(path if suffix == ".mp4" else path.parent))


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", pixels),
            chunk(b"IEND", b""),
        )
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"errors": "ignore"}, "errors is 'ignore'; it must be 'raise' or 'strict'"),
        ({"max_pixels": 0}, "max_pixels is 0; it must be a whole number of at least 1"),
        ({"threads": -1}, "threads is -1"),
        ({"threads": 1.5}, "threads is 1.5"),
        ({"assumed_fps": 0}, "assumed_fps is 0"),
        ({"assumed_fps": float("nan")}, "assumed_fps is nan"),
        ({"assumed_fps": "25"}, "assumed_fps is '25'"),
    ],
)
def test_wrong_options_are_value_errors(path: Path, option: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_video(path, **option)


def test_something_that_is_no_video_at_all_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="video is a int; give a path"):
        open_video(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="bytes path"):
        open_video(BytesPath())  # type: ignore[arg-type]


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"video.mp4"
