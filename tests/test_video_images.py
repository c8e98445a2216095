"""Folders of numbered images as videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_video import frame_number, numbered_image, write_image

from c3dhub.base.errors import VideoError
from c3dhub.video import open_video


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    kinds = [("png", "rgb24"), ("jpg", "yuvj420p"), ("bmp", "bgr24"), ("webp", "yuv420p")]
    kinds += [("tif", "rgb24"), ("ppm", "rgb24"), ("pgm", "gray"), ("PNG", "gray16be")]
    codecs = {"jpg": "mjpeg", "webp": "libwebp", "tif": "tiff", "PNG": "png"}
    for number, (suffix, pix_fmt) in enumerate(kinds):
        name = f"frame_{number * 3}.{suffix}"  # 0, 3, 6, 9, 12, ...: gaps, and 12 after 9
        image = numbered_image(number, (64 + number, 48))
        write_image(folder / name, image, codec=codecs.get(suffix, suffix), pix_fmt=pix_fmt)
    return folder


def test_a_folder_is_read_in_natural_order_at_the_assumed_rate(folder: Path) -> None:
    (folder / "notes_1.txt").write_text("not an image")
    (folder / ".hidden_1.png").write_text("nor this")
    (folder / "sub_1.png").mkdir()
    with open_video(folder, assumed_fps=10) as video:
        assert (video.frame_rate, video.expected_frames) == (10.0, 8)
        assert video.size_bytes == sum(p.stat().st_size for p in folder.glob("frame_*"))
        frames = list(video)
        assert video.warnings == []
    images = [frame.to_rgb() for frame in frames]
    assert [frame_number(image) for image in images] == list(range(8))
    assert [image.shape[1] for image in images] == list(range(64, 72))  # each its own size
    assert [frame.seconds for frame in frames] == pytest.approx([i / 10 for i in range(8)])
    with open_video(folder / "frame_3.jpg") as video:  # the same pixels as by FFmpeg's own way in
        np.testing.assert_array_equal(next(iter(video)).to_rgb(), images[1])


def test_images_without_a_number_are_left_out_with_a_warning(folder: Path) -> None:
    (folder / "frame_0.png").rename(folder / "cover.png")
    with open_video(folder) as video:
        assert len(list(video)) == 7
        assert video.warnings == ["1 image(s) without a number were left out"]


def test_the_hash_of_a_folder_covers_names_and_contents(folder: Path) -> None:
    def digest() -> str | None:
        with open_video(folder) as video:
            return video.sha256()

    first = digest()
    assert first == digest()
    (folder / "readme.txt").write_text("no frame")
    assert first == digest()
    (folder / "frame_0.png").rename(folder / "frame_1.png")
    renamed = digest()
    assert renamed != first
    (folder / "frame_1.png").write_bytes((folder / "frame_21.PNG").read_bytes())
    assert digest() not in (first, renamed)
    video = open_video(folder)
    (folder / "frame_1.png").unlink()
    assert video.sha256() is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "frame_9.webp: the file is empty"),
        (b"hello", "frame_9.webp: this is not an image of a known kind"),
        (b"\xff\xd8\xff\xd9", "frame_9.webp: "),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "frame_9.webp: "),
    ],
)
def test_a_broken_image_ends_the_video(folder: Path, content: bytes, said: str) -> None:
    (folder / "frame_9.webp").write_bytes(content)
    with open_video(folder) as video:
        assert len(list(video)) == 3
        (warning,) = video.warnings
        assert warning.startswith(f"decoding stopped at frame 3: {said}")
    with open_video(folder, errors="strict") as video, pytest.raises(VideoError, match="frame_9"):
        list(video)


def test_an_image_that_vanishes_ends_the_video(folder: Path) -> None:
    video = open_video(folder)
    (folder / "frame_0.png").unlink()
    assert video.expected_frames == 8
    with pytest.raises(VideoError, match=r"frame_0\.png: no such file") as caught:
        list(video)
    assert isinstance(caught.value.__cause__, OSError)


def test_an_image_beyond_max_pixels_is_refused(folder: Path) -> None:
    with pytest.raises(VideoError, match=r"frame_3\.jpg: a frame of 65x48 has 3120 pixels"):
        list(open_video(folder, max_pixels=3100))


def test_folders_without_frames_say_what_they_hold(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="holds no images; give a video file"):
        open_video(tmp_path / "empty")
    for number, image in enumerate(sorted(folder.iterdir())):
        image.rename(folder / f"{'abcdefgh'[number]}{image.suffix}")
    with pytest.raises(VideoError, match="holds 8 images without a number"):
        open_video(folder)
