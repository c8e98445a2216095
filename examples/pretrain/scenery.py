"""What is around the figures: the place, the camera that looks at it, other things that move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from cast import FRAMES, Person, pick
from drawing import TEXTURE, Floats, Limbs, Pixels
from torch.nn import functional as F
from wardrobe import cloth_colour

SIZE = 112  # pixels, both sides of a frame
MARGIN = 24  # pixels of scenery beyond each side of the frame
_CANVAS = SIZE + 2 * MARGIN
_BANK = 32  # textures
_HUES = np.array(  # asphalt, earth, wood, grass, sky
    [
        [0, 0, 0],
        [0.05, 0, -0.15],
        [0.3, 0.05, -0.4],
        [0.45, 0, -0.5],
        [-0.2, 0.35, -0.4],
        [-0.3, 0.05, 0.5],
    ]
)


@dataclass(frozen=True)
class Camera:
    """How the world is seen.

    Parameters
    ----------
    moves: (F, 2, 3), takes still pixels (x, y, 1) to those of each frame; the unit matrix where
        the camera stands still.
    still: True where it does, in every frame.
    """

    moves: Floats
    still: bool


@dataclass(frozen=True)
class View:
    """Where the world's origin is in the frame, and how large: all in still pixels."""

    x: float
    y: float
    scale: float  # pixels per height at the origin
    away: float  # heights from the camera to the origin
    tilt: float  # radians that the camera looks down

    def project(self, camera: Camera) -> Callable[[Floats], tuple[Floats, Floats]]:
        """Return the function from world points (F, n, 3) to pixels (F, n, 2) and scales (F, n)."""
        zoom = np.hypot(camera.moves[:, 0, 0], camera.moves[:, 1, 0])[:, None]

        def onto_frame(points: Floats) -> tuple[Floats, Floats]:
            x, z, up = points[..., 0], points[..., 1], points[..., 2]
            s = self.scale / np.maximum(1 + z / self.away, 0.3)
            px = self.x + x * s
            py = self.y - s * (up * np.cos(self.tilt) + z * np.sin(self.tilt))
            pixels = np.stack([px, py, np.ones_like(px)], axis=-1) @ camera.moves.transpose(0, 2, 1)
            return pixels.astype(np.float32), (s * zoom).astype(np.float32)

        return onto_frame


def look_at(people: list[Person], rng: np.random.Generator) -> View:
    """Choose a size and a place so that most of the acting figures can be seen most of the time."""
    scale = SIZE * float(np.clip(rng.normal(0.76, 0.15), 0.42, 1.2))
    tilt = float(np.deg2rad(pick(rng, (rng.uniform(0, 8), rng.uniform(8, 35)))))
    acting = (
        people[0].points if len(people) == 1 else np.concatenate([p.points for p in people[:2]])
    )
    x = SIZE / 2 - scale * float(acting[..., 0].mean()) + float(rng.normal(0, 10))
    y = SIZE / 2 + scale * 0.5 * np.cos(tilt) + float(rng.normal(0, 9))
    return View(x, y, scale, float(rng.uniform(3.5, 14)), tilt)


def film(rng: np.random.Generator, follow: Floats | None) -> Camera:
    """Return a camera that stands, pans, zooms, shakes, is tilted or follows someone.

    ``follow`` (F,) is how far to the right someone goes, in pixels.
    """
    time = np.linspace(-1, 1, FRAMES, dtype=np.float32)
    shift = np.zeros((FRAMES, 2), dtype=np.float32)
    zoom, angle = np.ones(FRAMES, dtype=np.float32), np.zeros(FRAMES, dtype=np.float32)
    kind = rng.random(5)
    if kind[0] < 0.18:
        shift += time[:, None] * rng.normal(0, (7, 3)).astype(np.float32)
    if kind[1] < 0.12:
        zoom *= np.exp(time * np.float32(rng.normal(0, 0.07)))
    if kind[2] < 0.18:
        walk = np.cumsum(rng.normal(0, 1, (FRAMES, 2)), axis=0)
        shift += (walk - walk.mean(axis=0)) * np.float32(rng.uniform(0.1, 0.8))
    if kind[3] < 0.2:
        angle += np.float32(rng.normal(0, 0.07)) + time * np.float32(rng.normal(0, 0.02))
    if follow is not None and kind[4] < 0.4:
        shift[:, 0] -= (follow - follow.mean()) * np.float32(rng.uniform(0.6, 1.0))
    moves = _about_centre(zoom, angle, shift)
    moving = np.ptp(moves, axis=0).max() > 1e-3 or abs(angle).max() > 0
    return Camera(moves, not moving)


def _about_centre(zoom: Floats, angle: Floats, shift: Floats) -> Floats:
    c, s, middle = zoom * np.cos(angle), zoom * np.sin(angle), (SIZE - 1) / 2
    moves = np.empty((len(zoom), 2, 3), dtype=np.float32)
    moves[:, 0, 0], moves[:, 0, 1], moves[:, 1, 0], moves[:, 1, 1] = c, -s, s, c
    moves[:, 0, 2] = middle - c * middle + s * middle + shift[:, 0]
    moves[:, 1, 2] = middle - s * middle - c * middle + shift[:, 1]
    return moves


def backdrop(camera: Camera, view: View, rng: np.random.Generator) -> Pixels:
    """Return uint8 (F, 112, 112, 4), the scenery as the camera sees it."""
    canvas = scenery(view, rng)
    frames = np.empty((FRAMES, SIZE, SIZE, 4), dtype=np.uint8)
    if camera.still:
        frames[:] = canvas[MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
        return frames
    # Twice as fine, so that the nearest pixel is near enough.
    planes = torch.from_numpy(canvas).permute(2, 0, 1)[None]
    fine = F.interpolate(planes, scale_factor=2, mode="bilinear", antialias=True)
    packed = fine[0].permute(1, 2, 0).contiguous().numpy().view(np.uint32).reshape(-1)
    linear = camera.moves[:, :, :2]
    back = np.linalg.inv(linear)  # (F, 2, 2)
    start = -(back @ camera.moves[:, :, 2:])[..., 0]  # (F, 2)
    grid = np.arange(SIZE, dtype=np.float32)
    sides = []
    for axis in (0, 1):
        across, down = back[:, axis, 0, None] * grid, back[:, axis, 1, None] * grid  # (F, 112)
        value = (across[:, None] + (down + start[:, axis, None])[:, :, None]) * 2 + 2 * MARGIN
        sides.append(np.minimum(np.maximum(value, 0), 2 * _CANVAS - 1).astype(np.int32))
    frames.view(np.uint32)[..., 0] = packed.take(sides[1] * (2 * _CANVAS) + sides[0])
    return frames


def scenery(view: View, rng: np.random.Generator) -> Pixels:
    """Return uint8 (160, 160, 4): ground, perhaps a wall or the sky, lines and boxes."""
    canvas = _surface(rng)
    horizon = int(MARGIN + view.y - view.scale * rng.uniform(-0.05, 1.2))
    if rng.random() < 0.55 and 4 < horizon < _CANVAS - 4:
        canvas[:horizon] = _surface(rng)[:horizon]
    for _ in range(int(pick(rng, (0, 0, 0, 1, 3, 6)))):
        _box(canvas, rng)
    for _ in range(int(pick(rng, (0, 1, 2, 4)))):
        _line(canvas, rng)
    canvas *= _ramp(rng, 0.8, 1.15, _CANVAS)[:, None]
    out = np.zeros((_CANVAS, _CANVAS, 4), dtype=np.uint8)
    out[..., :3] = np.minimum(np.maximum(canvas.transpose(1, 2, 0), 0), 255)
    return out


def _surface(rng: np.random.Generator) -> Floats:
    """Return float (3, 160, 160): a texture in two colours, perhaps of bricks or planks."""
    bank = _bank()
    texture = bank[rng.integers(len(bank))]
    top, left = rng.integers(0, texture.shape[0] - _CANVAS, 2)
    plane = texture[top : top + _CANVAS, left : left + _CANVAS]  # mean 0, deviation about 1
    if rng.random() < 0.5:
        plane = plane[:, ::-1]
    if rng.random() < 0.2:
        plane = plane + _bricks(rng)
    colour, other = _place_colour(rng), cloth_colour(rng)
    strength = np.float32(pick(rng, (4, 8, 15, 35)) * rng.uniform(0.6, 1.4))
    tint = (other - colour) / np.maximum(np.linalg.norm(other - colour), 1) * 0.7 + 0.6
    much = (strength * tint).astype(np.float32)[:, None, None]
    surface: Floats = colour[:, None, None] + much * plane
    return surface


def _place_colour(rng: np.random.Generator) -> Floats:
    """Return an RGB colour as floors, walls, grass and the sky have it: mostly dull."""
    grey = rng.uniform(25, 225)
    hue = _HUES[rng.integers(len(_HUES))] if rng.random() < 0.85 else rng.uniform(-1, 1, 3)
    colour = grey * (1 + rng.uniform(0.0, 0.6) * hue)
    return np.clip(colour, 5, 250).astype(np.float32)


def _bricks(rng: np.random.Generator) -> Floats:
    high, wide = rng.integers(5, 22, 2)
    grid = np.arange(_CANVAS)
    row = (grid % high < 1).astype(np.float32)[:, None]
    offset = (grid // high % 2)[:, None] * (wide // 2) * int(rng.integers(0, 2))
    column = ((grid[None] + offset) % wide < 1).astype(np.float32)
    bricks: Floats = np.maximum(row, column) * np.float32(pick(rng, (-1.5, -0.8, 1.0)))
    return bricks


def _ramp(rng: np.random.Generator, low: float, high: float, count: int) -> Floats:
    """Return (count,) from one random number to another."""
    first, last = rng.uniform(low, high, 2)
    return np.linspace(first, last, count, dtype=np.float32)


def _box(canvas: Floats, rng: np.random.Generator) -> None:
    high, wide = rng.integers(5, 70, 2)
    top, left = rng.integers(-10, _CANVAS - 5, 2)
    part = canvas[:, max(top, 0) : top + high, max(left, 0) : left + wide]
    shade = _ramp(rng, 0.8, 1.1, part.shape[2])
    part += (cloth_colour(rng)[:, None, None] * shade - part) * np.float32(rng.uniform(0.5, 1))


def _line(canvas: Floats, rng: np.random.Generator) -> None:
    """A straight dark or bright line, as between slabs or along a road."""
    angle = pick(rng, (0.0, np.pi / 2, rng.uniform(0, np.pi))) + float(rng.normal(0, 0.04))
    grid = np.arange(_CANVAS, dtype=np.float32) - float(rng.uniform(20, _CANVAS - 20))
    away = np.abs(np.float32(np.sin(angle)) * grid + np.float32(np.cos(angle)) * grid[:, None])
    width = np.float32(rng.uniform(0.4, 3))
    weight = np.minimum(np.maximum(width - away + np.float32(0.5), 0), 1)
    canvas += weight * np.float32(pick(rng, (-50, -25, 40)))


@lru_cache(maxsize=1)
def _bank() -> tuple[Floats, ...]:
    """Return textures (224, 224) with spectra 1/f^a, a from rough to cloudy, some stretched."""
    rng = np.random.default_rng(20220105)
    side = 224
    found = []
    for i in range(_BANK):
        fx, fy = np.fft.rfftfreq(side)[None], np.fft.fftfreq(side)[:, None]
        stretch = (1.0, 1.0, 1.0, 4.0, 0.25)[i % 5]
        f = np.sqrt((fx * stretch) ** 2 + (fy / stretch) ** 2) + 1 / side
        noise = rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)
        plane = np.fft.irfft2(noise / f ** rng.uniform(0.6, 2.0) * np.exp(-((f / 0.4) ** 2)))
        plane = (plane - plane.mean()) / plane.std()
        found.append(plane.clip(-3, 3).astype(np.float32))
    return tuple(found)


def movers(camera: Camera, rng: np.random.Generator) -> Limbs | None:
    """Return nothing, or one to three things that cross the picture behind the figures."""
    if rng.random() > 0.2:
        return None
    count = int(rng.integers(1, 4))
    time = np.linspace(-0.5, 0.5, FRAMES, dtype=np.float32)[:, None, None]
    middle = rng.uniform(0, SIZE, (1, count, 2)).astype(np.float32)
    path = middle + time * rng.normal(0, (50, 10), (1, count, 2)).astype(np.float32)
    reach = rng.normal(0, 10, (1, count, 2)).astype(np.float32)
    ends = np.concatenate([path - reach, path + reach], axis=2)
    texture = np.zeros((count, *TEXTURE, 4), dtype=np.uint8)
    texture[..., :3] = np.stack([cloth_colour(rng) for _ in range(count)])[:, None, None]
    radii = np.repeat(rng.uniform(2, 9, (1, count, 1)), 2, axis=2).repeat(FRAMES, axis=0)
    ones = np.ones((FRAMES, count), dtype=np.float32)
    flat = rng.choice([1.0, 3.0], count).astype(np.float32)
    return Limbs(ends.astype(np.float32), radii.astype(np.float32), ones * 50, texture, flat,
                 np.ones(count, dtype=np.float32), ones)  # fmt: skip
