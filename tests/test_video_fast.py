"""decode="fast": coarser where that saves time, by a bounded error, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_video import frame_number, numbered_image, write_video

from c3dhub.video import Decode, open_video


def images(source: Any, decode: Decode, **how: Any) -> list[Any]:
    with open_video(source, decode=decode, **how) as video:
        return [frame.to_rgb() for frame in video]


def smooth_frames(count: int) -> list[Any]:
    ramp = np.linspace(0, 60, 64)[None, :, None]
    return [np.uint8(numbered_image(n) * 0.7 + np.roll(ramp, 2 * n, axis=1)) for n in range(count)]


def test_h264_without_its_filter_is_close_but_not_equal(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", smooth_frames(30), options={"crf": "32"})
    exact, fast = images(path, "exact"), images(path, "fast")
    assert [frame_number(image) for image in fast] == list(range(30))
    error = np.abs(np.stack(exact).astype(np.int16) - np.stack(fast))
    assert 0 < error.mean() < 4


@pytest.mark.parametrize(
    ("name", "codec"), [("v.webm", "libvpx-vp9"), ("v.mkv", "ffv1"), ("v.mp4", "mpeg4")]
)
def test_other_codecs_are_read_exactly(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, smooth_frames(5), codec=codec)
    np.testing.assert_array_equal(images(path, "exact"), images(path, "fast"))


def test_arrays_are_read_exactly() -> None:
    array = np.stack(smooth_frames(3))
    np.testing.assert_array_equal(images(array, "fast", short_side=2), array)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((128, 96), 12, (24, 32)),  # by 4, which leaves twice 12
        ((128, 96), 8, (24, 32)),  # 6 does not divide 128, 5 neither
        ((128, 96), 13, (96, 128)),  # less than 8 times as large
        ((130, 98), 12, (98, 130)),  # 4 divides neither side
        ((96, 192), 6, (24, 12)),  # by 8
    ],
)
def test_large_frames_are_averaged_over_squares(
    tmp_path: Path, size: tuple[int, int], short_side: int, expected: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "v.mkv", 4, size=size, codec="ffv1")
    fast = images(path, "fast", short_side=short_side)
    exact = images(path, "exact", short_side=short_side)
    assert fast[0].shape == (*expected, 3)
    assert exact[0].shape == (size[1], size[0], 3)
    assert [frame_number(image) for image in fast] == [0, 1, 2, 3]
    factor = size[1] // expected[0]
    rows = np.stack(exact).reshape(4, expected[0], factor, expected[1], factor, 3)
    assert np.abs(rows.mean((2, 4)) - fast).mean() < 1.5


def test_a_turned_large_frame_is_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 3, size=(192, 96), rotation=90)
    fast = images(path, "fast", short_side=12)
    assert fast[0].shape == (48, 24, 3)
    exact = images(path, "exact")
    assert [frame_number(image) for image in fast] == [frame_number(image) for image in exact]


def test_other_values_are_refused() -> None:
    with pytest.raises(ValueError, match="decode is 'quick'; it must be 'exact' or 'fast'"):
        open_video("v.mp4", decode="quick")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="short_side is 0; it must be a whole number of at least"):
        open_video("v.mp4", short_side=0)
