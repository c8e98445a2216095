"""Tiny videos with known pixels, for every test that needs one.

Frame ``i`` of :func:`write_video` is :func:`numbered_image` ``(i)``: a 4 by 4 grid of black and
white blocks that spells the number in binary, which :func:`frame_number` reads back after any
lossy codec, colour conversion or resizing. Number 2 has a different picture in each of the eight
orientations, so a test that reads 2 from a turned video knows that it was turned upright.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

GRID = 4
DARK, LIGHT = 40, 215


def numbered_image(number: int, size: tuple[int, int] = (64, 48)) -> Image:
    """Return the uint8 (H, W, 3) picture of ``number`` (0 to 65535); ``size`` is (W, H) pixels."""
    width, height = size
    bits = [DARK + (LIGHT - DARK) * (number >> bit & 1) for bit in range(GRID * GRID)]
    rows = np.arange(height) * GRID // height
    columns = np.arange(width) * GRID // width
    gray = np.array(bits, dtype=np.uint8).reshape(GRID, GRID)[rows][:, columns]
    return np.repeat(gray[:, :, None], 3, axis=2)


def frame_number(image: NDArray[Any]) -> int:
    """Read the number back from the uint8 (H, W, 3) picture of a decoded frame, of any size."""
    height, width = image.shape[:2]
    rows = [(2 * block + 1) * height // (2 * GRID) for block in range(GRID)]
    columns = [(2 * block + 1) * width // (2 * GRID) for block in range(GRID)]
    white = image[rows][:, columns].mean(axis=2) > (DARK + LIGHT) / 2
    return int(sum(1 << bit for bit, on in enumerate(white.reshape(-1)) if on))


def write_video(
    path: Path,
    frames: int | Iterable[Image] = 10,
    *,
    size: tuple[int, int] = (64, 48),
    fps: int | Fraction = 30,
    codec: str = "libx264",
    pix_fmt: str | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rotation: float | None = None,
    matrix: Sequence[int] | None = None,
    options: Mapping[str, str] | None = None,
    container_format: str | None = None,
    container_options: Mapping[str, str] | None = None,
    audio_seconds: float = 0.0,
) -> Path:
    """Write a video and return its path.

    Parameters
    ----------
    path: the file; its suffix chooses the container unless ``container_format`` does.
    frames: how many numbered frames, or uint8 (H, W, 3) pictures.
    size: (W, H) in pixels; taken from the pictures where they are given.
    fps: frames per second of the header, and of the frames where ``pts`` is None.
    codec, pix_fmt, options: encoder, its pixel format (default: a usual one for the codec), its
        options, e.g. ``{"bf": "0"}`` for no B-frames or ``{"g": "5"}`` for a key frame every 5.
    pts, time_base: one presentation timestamp per frame, in units of ``time_base`` seconds
        (default 1/1000): variable frame rate, gaps, a start that is not 0.
    rotation: degrees counterclockwise that a player turns the picture by (mp4 and mov only).
    matrix: nine numbers for the header instead of ``rotation``: a, b, u, c, d, v, x, y, w in
        16.16 fixed point (u, v, w: 2.30), which may be nonsense.
    audio_seconds: length of a silent sound track, 0 for none.
    """
    pictures = _pictures(frames, size)
    first = next(pictures)
    unit = time_base or (Fraction(1, 1000) if pts is not None else Fraction(1) / Fraction(fps))
    with av.open(
        str(path), "w", format=container_format, options=dict(container_options or {})
    ) as container:
        stream: Any = container.add_stream(codec, rate=fps, options=dict(options or {}))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pix_fmt or _usual_pix_fmt(codec)
        stream.codec_context.time_base = unit
        if audio_seconds:
            sound: Any = container.add_stream("aac" if path.suffix != ".webm" else "libopus", 48000)
        for index, picture in enumerate(itertools.chain([first], pictures)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = unit
            frame.pts = index if pts is None else pts[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio_seconds:
            _write_silence(container, sound, audio_seconds)
    if rotation is not None or matrix is not None:
        set_matrix(path, matrix or rotation_matrix(rotation or 0.0))
    return path


def write_audio(path: Path, *, seconds: float = 0.2, cover: bool = False) -> Path:
    """Write a silent m4a file of AAC sound, with a cover picture where asked for."""
    with av.open(str(path), "w", format="mp4") as container:
        sound: Any = container.add_stream("aac", 48000)
        if cover:
            picture: Any = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            image = av.VideoFrame.from_ndarray(numbered_image(1), format="rgb24")
            container.mux(picture.encode(image))
            container.mux(picture.encode(None))
        _write_silence(container, sound, seconds)
    return path


def write_image(path: Path, image: Image, *, codec: str, pix_fmt: str = "rgb24") -> Path:
    """Write one picture with FFmpeg's encoder ``codec`` (png, mjpeg, bmp, libwebp, ...)."""
    context: Any = av.CodecContext.create(codec, "w")
    context.height, context.width = image.shape[:2]
    context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format=pix_fmt, dst_color_range="JPEG" if codec == "mjpeg" else None
    )
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
    return path


def rotation_matrix(degrees: float, *, mirrored: bool = False) -> list[int]:
    """Return the header's nine numbers for a picture that players turn counterclockwise.

    ``mirrored`` swaps left and right before turning.
    """
    angle = np.deg2rad(degrees)
    cosine, sine = round(float(np.cos(angle)) * 65536), round(float(np.sin(angle)) * 65536)
    flip = -1 if mirrored else 1
    return [flip * cosine, flip * -sine, 0, sine, cosine, 0, 0, 0, 1 << 30]


def set_matrix(path: Path, matrix: Sequence[int]) -> None:
    """Overwrite the display matrix of the first track of an mp4 or mov file."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4
    # version 0: 4 bytes version and flags, 20 of times and ids, 16 of layer and volume.
    offset = start + (40 if data[start] == 0 else 52)
    data[offset : offset + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)


def _pictures(frames: int | Iterable[Image], size: tuple[int, int]) -> Iterator[Image]:
    if isinstance(frames, int):
        return (numbered_image(number, size) for number in range(frames))
    return iter(frames)


def _usual_pix_fmt(codec: str) -> str:
    unusual = {
        "png": "rgb24",
        "gif": "rgb8",
        "mjpeg": "yuvj420p",
        "rawvideo": "rgb24",
        "apng": "rgb24",
        "libwebp_anim": "bgra",
        "prores": "yuv422p10le",
    }
    return unusual.get(codec, "yuv420p")


def _write_silence(container: Any, stream: Any, seconds: float) -> None:
    samples = 1024 if stream.codec_context.name == "aac" else 960
    layout = "stereo"
    for start in range(0, round(seconds * 48000), samples):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((2, samples), dtype=np.float32), format="fltp", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
