"""Frames that are in memory already: uint8 arrays and tensors of shape (T, H, W, 3)."""

from __future__ import annotations

import functools
import hashlib
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from .orientation import Image
from .pictures import Picture, Pictures
from .timestamps import Stamp, StreamTime


def is_array(video: object) -> bool:
    """Tell whether this is a numpy array or, without importing torch, a tensor."""
    return isinstance(video, np.ndarray) or _is_tensor(video)


def name_of(array: Any) -> str:
    """Return the name for messages and provenance."""
    return "<tensor>" if _is_tensor(array) else "<array>"


def size_of(array: Any) -> int:
    """Return the bytes that the pixels take."""
    return math.prod(array.shape)


def open_array(array: Any, *, time: StreamTime) -> Pictures:
    """Return the rows of a uint8 array (T, H, W, 3) as pictures.

    Raises ValueError for another shape, TypeError for another type of number.
    """
    _check(array)
    rate = float(time.rate) if time.rate else None
    return Pictures(time, lambda needed: _rows(array), frame_rate=rate, expected_frames=len(array))


def _is_tensor(video: object) -> bool:
    torch = sys.modules.get("torch")  # a tensor exists only where torch was imported
    return torch is not None and isinstance(video, torch.Tensor)


def _check(array: Any) -> None:
    shape, dtype = tuple(array.shape), str(array.dtype).removeprefix("torch.")
    if len(shape) != 4 or shape[3] != 3:
        hint = ""
        if len(shape) == 4 and shape[1] == 3:
            hint = "; it looks like (T, 3, H, W): " + (
                "use .permute(0, 2, 3, 1)" if _is_tensor(array) else "use .transpose(0, 2, 3, 1)"
            )
        raise ValueError(
            f"video has shape {shape}; frames must be (T, H, W, 3), RGB in the last axis{hint}"
        )
    if dtype != "uint8":
        raise TypeError(
            f"video has dtype {dtype}; frames must be uint8 in 0..255, so scale, round and convert "
            "them"
        )
    if 0 in shape:
        raise ValueError(f"video has shape {shape}; it must hold at least one frame and one pixel")


def _rows(array: Any) -> Iterator[Picture]:
    for index in range(len(array)):
        yield Stamp(), functools.partial(_row, array, index)


def _row(array: Any, index: int) -> Image:
    row = array[index].cpu().numpy() if _is_tensor(array) else array[index]
    return np.array(row, order="C", copy=True)  # the caller's array must not be written through


def sha256_of(array: Any) -> str:
    """Return the hash of shape and pixels, the same for an array and a tensor."""
    digest = hashlib.sha256(repr(tuple(map(int, array.shape))).encode())
    for index in range(len(array)):
        digest.update(_row(array, index).data)
    return digest.hexdigest()
