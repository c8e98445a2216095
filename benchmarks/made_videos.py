"""Videos to measure on: made where none is given, and cut into short ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

# Quick to write; what it decodes like is close to what cameras and web sites produce.
_ENCODER = {"preset": "veryfast", "crf": "23"}


def make_video(
    path: Path, *, seconds: float = 60.0, size: tuple[int, int] = (480, 360), fps: int = 30
) -> Path:
    """Write an h264 video of drifting textures with a cut every 4 seconds; ``size`` is (W, H)."""
    width, height = size
    with Writer(path, size=size, fps=Fraction(fps)) as writer:
        for index in range(round(seconds * fps)):
            picture = _picture(index, scene=index // (4 * fps), width=width, height=height)
            writer.add(av.VideoFrame.from_ndarray(picture, format="rgb24"))
    return path


def _picture(index: int, *, scene: int, width: int, height: int) -> np.ndarray:
    """Return uint8 (H, W, 3): a random texture of the scene, moved on by two pixels a frame."""
    rng = np.random.default_rng(scene)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    texture = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    moved = np.roll(texture, (index, 2 * index), axis=(0, 1))[:height, :width].astype(np.int16)
    noise = np.random.default_rng(index).integers(-6, 7, (height, width, 1), dtype=np.int16)
    return np.asarray(np.clip(moved + noise, 0, 255), dtype=np.uint8)


def cut(video: Path, folder: Path, *, seconds: float, most: int) -> tuple[list[Path], Path]:
    """Return up to ``most`` files of ``seconds`` each, and one file with all their frames.

    Both are encoded again in the same way, so that only the number of files differs. What is left
    after the last whole piece is dropped, unless there is no other.
    """
    whole = folder / "whole.mp4"
    pieces: list[Path] = []
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = Fraction(stream.average_rate or 25)
        per_piece = max(1, round(seconds * rate))
        frames = iter(container.decode(stream))
        size = stream.codec_context.width, stream.codec_context.height
        count = _whole_pieces(stream.frames, per_piece, most)
        with Writer(whole, size=size, fps=rate) as long:
            for number in range(count):
                path = folder / f"piece{number:03d}.mp4"
                if not _copy_piece(frames, path, long, per_piece, size, rate):
                    break
                pieces.append(path)
    return pieces, whole


def _whole_pieces(frames: int, per_piece: int, most: int) -> int:
    """Return how many pieces to cut; ``frames`` is what the header says, 0 for nothing."""
    return most if frames == 0 else max(1, min(most, math.floor(frames / per_piece)))


def _copy_piece(
    frames: Iterator[Any],
    path: Path,
    long: Writer,
    count: int,
    size: tuple[int, int],
    rate: Fraction,
) -> bool:
    """Write up to ``count`` frames to both files; return whether there was any."""
    first = next(frames, None)
    if first is None:
        return False
    with Writer(path, size=size, fps=rate) as piece:
        for frame in chain([first], islice(frames, count - 1)):
            piece.add(frame)
            long.add(frame)
    return True


class Writer:
    """Writes frames of one size at a constant rate into an h264 file."""

    def __init__(self, path: Path, *, size: tuple[int, int], fps: Fraction) -> None:
        self._container = av.open(str(path), "w")
        self._stream: Any = self._container.add_stream("libx264", rate=fps, options=dict(_ENCODER))
        self._stream.width, self._stream.height = (side - side % 2 for side in size)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = 1 / fps
        self._count = 0

    def add(self, frame: av.VideoFrame) -> None:
        """Append a frame, whatever its own timestamp was."""
        copy: Any = frame.reformat(
            width=self._stream.width, height=self._stream.height, format="yuv420p"
        )
        copy.pts, copy.time_base = self._count, self._stream.codec_context.time_base
        copy.pict_type = 0  # the encoder chooses its key frames anew
        self._container.mux(self._stream.encode(copy))
        self._count += 1

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
