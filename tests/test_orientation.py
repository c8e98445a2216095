"""The eight orientations: what players show, by matrix and by EXIF number."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from make_video import frame_number, numbered_image, rotation_matrix, write_video
from PIL import Image as PillowImage
from PIL import ImageOps

from c3dhub.video import open_video
from c3dhub.video.orientation import UPRIGHT, Orientation, from_degrees, from_exif, from_matrix

# A number whose picture differs in all eight orientations, stored in frames of 64x48.
PICTURE = numbered_image(2)


def packed(matrix: list[int]) -> bytes:
    return struct.pack("=9i", *matrix)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90, 450, -540])
def test_a_video_is_turned_as_its_matrix_says(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    # Counterclockwise after mirroring: measured against what the ffmpeg program shows.
    matrix = rotation_matrix(degrees, mirrored=mirrored)
    path = write_video(tmp_path / "turned.mp4", [PICTURE] * 3, matrix=matrix)
    with open_video(path) as video:
        shown = [frame.to_rgb() for frame in video]
        assert video.warnings == []
    stored = PICTURE[:, ::-1] if mirrored else PICTURE
    expected = np.rot90(stored, degrees // 90)
    assert shown[0].shape == expected.shape
    assert shown[0].flags.c_contiguous
    assert np.abs(shown[0].astype(int) - expected).mean() < 5


def test_a_phone_video_held_upright_is_read_upright(tmp_path: Path) -> None:
    upright = numbered_image(2, (48, 64))
    path = write_video(tmp_path / "phone.mov", [np.rot90(upright)] * 2, rotation=-90)
    with open_video(path) as video:
        assert [frame_number(frame.to_rgb()) for frame in video] == [2, 2]


@pytest.mark.parametrize(
    "matrix",
    [
        [0] * 9,
        rotation_matrix(45),
        rotation_matrix(93),
        [-(1 << 31)] * 9,
        [65536, 65536, 0, 0, 0, 0, 0, 0, 1 << 30],
    ],
)
def test_nonsense_in_the_matrix_is_ignored_with_one_warning(
    tmp_path: Path, matrix: list[int]
) -> None:
    path = write_video(tmp_path / "odd.mp4", 4, matrix=matrix)
    with open_video(path) as video:
        assert [frame_number(frame.to_rgb()) for frame in video] == [0, 1, 2, 3]
        assert video.warnings == [
            "the rotation in the metadata is no multiple of 90 degrees: it was ignored"
        ]


def test_a_scaled_or_slightly_tilted_matrix_still_counts() -> None:
    assert from_matrix(packed([2 * v for v in rotation_matrix(180)[:8]] + [1])) == Orientation(
        flip_x=True, flip_y=True
    )
    assert from_matrix(packed(rotation_matrix(90.4))) == from_degrees(90)


def test_a_matrix_of_another_length_is_none() -> None:
    assert from_matrix(b"\0" * 35) is None


def test_degrees_other_than_quarter_turns_are_none() -> None:
    assert from_degrees(-90) == from_degrees(270)
    assert from_degrees(1) is None


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("number", range(1, 9))
def test_photographs_are_turned_as_exif_says(tmp_path: Path, kind: str, number: int) -> None:
    path = tmp_path / f"photo_1.{kind}"
    path.write_bytes(photo(number, kind))
    with PillowImage.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image.convert("RGB")))
    for source in (path, tmp_path):  # as a video of one frame, and as a folder of one image
        with open_video(source) as video:
            (shown,) = [frame.to_rgb() for frame in video]
        assert shown.shape == expected.shape
        assert np.abs(shown.astype(int) - expected).mean() < 3


def photo(number: int, kind: str = "jpeg") -> bytes:
    image, exif, data = PillowImage.fromarray(PICTURE), PillowImage.Exif(), io.BytesIO()
    exif[0x0112] = number
    image.save(data, kind, exif=exif, quality=95)
    return data.getvalue()


def test_exif_that_contradicts_the_decoder_is_not_believed() -> None:
    data = photo(5)
    assert from_exif(data, degrees=-90) == Orientation(transposed=True)
    assert from_exif(data, degrees=180) == from_degrees(180)
    assert from_exif(b"no block at all", degrees=0) == UPRIGHT


@pytest.mark.parametrize("cut", [3, 8, 10, 14])
def test_a_cut_off_exif_block_says_nothing(cut: int) -> None:
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        tag = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, 6, 0)
        block = mark + struct.pack(f"{order}IH", 8, 1) + tag
        assert from_exif(block, degrees=270) == from_degrees(270)
        assert from_exif(block[: 4 + cut], degrees=0) == UPRIGHT
        other = block[:8] + struct.pack(f"{order}H", 1) + b"\0" * 12
        assert from_exif(other, degrees=0) == UPRIGHT
