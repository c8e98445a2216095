"""Limbs -> pixels: anti-aliased, textured capsules, far ones first, all frames at once.

A limb is a segment from a to b with a radius at each end and a small texture laid over it.
A row of pixels meets a capsule in one span, so that only the pixels of those spans are ever
touched, in flat arrays that hold the limbs of all frames together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 throughout, for speed
Pixels = NDArray[np.uint8]
Ints = NDArray[Any]

TEXTURE = (32, 24)  # texels along a limb and across it


@dataclass(frozen=True)
class Limbs:
    """K capsules in F frames.

    Parameters
    ----------
    ends: (F, K, 4), the ends (ax, ay, bx, by) in pixels; pixel centres are whole numbers.
    radii: (F, K, 2), pixels at a and b.
    depth: (F, K), any unit; larger is farther and is drawn first.
    texture: uint8 (K, 32, 24, 4), rows from a to b, columns across; the fourth channel is padding.
    flat: (K,), at least 1: how much flatter than round the caps are.
    opacity: (K,), 0 to 1.
    mirror: (F, K), +1 or -1: which side the first column of the texture is on.
    """

    ends: Floats
    radii: Floats
    depth: Floats
    texture: Pixels
    flat: Floats
    opacity: Floats
    mirror: Floats


@dataclass(frozen=True)
class _Items:
    """Each limb in each frame, in the order of drawing: rank by rank, all frames of a rank."""

    frame: Ints  # (n,)
    limb: Ints  # (n,)
    ax: Floats
    ay: Floats
    ex: Floats  # the unit vector from a to b
    ey: Floats
    length: Floats
    r0: Floats
    r1: Floats
    mirror: Floats


def draw(frames: Pixels, limbs: Limbs, *, softness: float) -> None:
    """Paint limbs into contiguous uint8 frames (F, H, W, 4), in place; the fourth is padding.

    ``softness`` is the width of an edge in pixels; 1.0 is plain anti-aliasing.
    """
    count, height, width = frames.shape[:3]
    items = _sort(limbs)
    item, y = _rows(items, height, softness)
    first, last = _span(items, item, y, width, softness)
    sizes = np.maximum(last - first, 0)
    x = np.arange(int(sizes.sum()), dtype=np.int32)
    x += np.repeat(first - _starts(sizes), sizes)
    texel, cover = _shade(items, limbs, item, y, sizes, x.astype(np.float32), softness)
    row = ((items.frame[item] * height + y) * width).astype(np.int32)
    x += np.repeat(row, sizes)
    per_rank = np.bincount(item // count, sizes, limbs.ends.shape[1]).astype(np.int64)
    pixels = frames.view(np.uint32).reshape(-1)
    colours = limbs.texture.view(np.uint32).reshape(-1)
    _compose(pixels, colours.take(texel), x, cover, per_rank)


def _sort(limbs: Limbs) -> _Items:
    order = np.argsort(-limbs.depth, axis=1, kind="stable")  # (F, K), farthest first
    limb = order.T.ravel()
    frame = np.tile(np.arange(order.shape[0]), order.shape[1])
    ax, ay, bx, by = limbs.ends[frame, limb].T
    length = np.maximum(np.hypot(bx - ax, by - ay), np.float32(1e-3))
    r0, r1 = limbs.radii[frame, limb].T
    mirror = limbs.mirror[frame, limb]
    ex, ey = (bx - ax) / length, (by - ay) / length
    return _Items(frame, limb, ax, ay, ex, ey, length, r0, r1, mirror)


def _rows(items: _Items, height: int, softness: float) -> tuple[Ints, Ints]:
    """Return the item and the y of every row of pixels that an item may touch."""
    reach = np.maximum(items.r0, items.r1) + softness / 2
    end = items.ay + items.ey * items.length
    top = np.clip(np.ceil(np.minimum(items.ay, end) - reach), 0, height).astype(np.int32)
    bottom = np.clip(np.floor(np.maximum(items.ay, end) + reach) + 1, 0, height).astype(np.int32)
    sizes = np.maximum(bottom - top, 0)
    item = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    return item, np.arange(len(item), dtype=np.int32) + (top - _starts(sizes))[item]


def _span(items: _Items, item: Ints, y: Ints, width: int, softness: float) -> tuple[Ints, Ints]:
    """Return first and one-past-last x of each row: all within reach of the limb's segment."""
    reach = (np.maximum(items.r0, items.r1) + np.float32(softness / 2))[item]
    ex, ey, length = items.ex[item], items.ey[item], items.length[item]
    dy = y.astype(np.float32) - items.ay[item]  # row relative to a
    # The part beside the segment: 0 <= u <= length and |v| <= reach are two intervals of x.
    safe_x = np.where(np.abs(ex) < 1e-4, np.float32(1e-4), ex)
    safe_y = np.where(np.abs(ey) < 1e-4, np.float32(1e-4), ey)
    u0, u1 = -dy * ey / safe_x, (length - dy * ey) / safe_x
    v0, v1 = (dy * ex - reach) / safe_y, (dy * ex + reach) / safe_y
    low = np.maximum(np.minimum(u0, u1), np.minimum(v0, v1))
    high = np.minimum(np.maximum(u0, u1), np.maximum(v0, v1))
    low, high = np.where(low < high, low, np.inf), np.where(low < high, high, -np.inf)
    for shift_x, shift_y in ((0.0, 0.0), (ex * length, ey * length)):  # the caps
        square = reach * reach - (dy - shift_y) ** 2
        half = np.sqrt(np.maximum(square, 0))
        low = np.where(square > 0, np.minimum(low, shift_x - half), low)
        high = np.where(square > 0, np.maximum(high, shift_x + half), high)
    ax = items.ax[item]
    empty = low > high
    first = np.ceil(np.clip(np.where(empty, 0, low + ax), 0, width)).astype(np.int32)
    last = np.floor(np.clip(np.where(empty, -1, high + ax), -1, width - 1)).astype(np.int32) + 1
    return first, last


def _shade(
    items: _Items, limbs: Limbs, item: Ints, y: Ints, sizes: Ints, x: Floats, softness: float
) -> tuple[Ints, Floats]:
    """Return the texel and the coverage (0 to 1) of every pixel."""

    def spread(per_row: Ints) -> Ints:
        return np.repeat(per_row, sizes)

    dy = y.astype(np.float32) - items.ay[item]
    ax, ex, ey, side = items.ax[item], items.ex[item], items.ey[item], items.mirror[item]
    length, r0, flat = items.length[item], items.r0[item], limbs.flat[items.limb[item]]
    # In place wherever it can be: these arrays hold a hundred thousand pixels.
    u = x * spread(ex)  # along the limb
    u += spread(dy * ey - ax * ex)
    v = x * spread(-ey * side)  # across it
    v += spread((dy * ex + ax * ey) * side)
    t = np.maximum(u, np.float32(0))
    np.minimum(t, spread(length), out=t)
    u -= t
    u *= spread(flat)  # past the end
    radius = t * spread((items.r1[item] - r0) / length)
    radius += spread(r0)
    u *= u
    u += v * v
    cover = np.sqrt(u, out=u)
    np.subtract(radius, cover, out=cover)
    cover *= np.float32(1 / softness)
    cover += np.float32(0.5)
    np.maximum(cover, np.float32(0), out=cover)
    np.minimum(cover, spread(limbs.opacity[items.limb[item]]), out=cover)
    t *= spread(np.float32(TEXTURE[0] - 0.01) / length)
    texel = t.astype(np.int32)
    texel *= TEXTURE[1]
    radius += np.float32(softness)
    v /= radius
    v += np.float32(1)
    v *= np.float32(TEXTURE[1] / 2)
    np.maximum(v, np.float32(0), out=v)
    np.minimum(v, np.float32(TEXTURE[1] - 1), out=v)
    texel += v.astype(np.int32)
    texel += spread((items.limb[item] * (TEXTURE[0] * TEXTURE[1])).astype(np.int32))
    return texel, cover


def _compose(pixels: Ints, paint: Ints, target: Ints, cover: Floats, per_rank: Ints) -> None:
    """Blend packed pixels rank after rank; within one no two entries mean the same pixel."""
    # Weights up to 128, so that a difference of colours times a weight fits into 16 bits.
    weight = (cover * 128).astype(np.uint32) * np.uint32(0x01010101)
    weights = weight.view(np.uint8).astype(np.int16)  # four times each: no broadcasting
    paints = paint.view(np.uint8).astype(np.int16)
    begin = 0
    for size in per_rank.tolist():
        place = target[begin : begin + size]
        under = pixels[place].view(np.uint8).astype(np.int16)
        change = paints[4 * begin : 4 * (begin + size)] - under
        change *= weights[4 * begin : 4 * (begin + size)]
        change >>= 7
        change += under
        pixels[place] = change.astype(np.uint8).view(np.uint32)
        begin += size


def _starts(sizes: Ints) -> Ints:
    """Return where each run begins: (0, s0, s0 + s1, ...)."""
    return (np.cumsum(sizes) - sizes).astype(np.int32)
