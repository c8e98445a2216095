"""Looks: random clothes, skin and hair, and the limbs that a person's joints are drawn as."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from body import JOINT
from cast import Person, pick
from drawing import TEXTURE, Floats, Limbs, Pixels

Projection = Callable[
    [Floats], tuple[Floats, Floats]
]  # (F, n, 3) -> pixels (F, n, 2), scale (F, n)

# Limb: ends, radius at each in body heights, how flat the caps, depth added, what covers it.
_PARTS: tuple[tuple[str, str, float, float, float, float, str], ...] = (
    ("chest", "pelvis", 0.070, 0.070, 2.0, 0.0, "top"),  # the radii follow the view
    ("hip_r", "hip_l", 0.070, 0.070, 1.0, 0.01, "legs"),
    ("neck", "head", 0.030, 0.030, 1.0, 0.0, "skin"),
    ("head", "head", 0.058, 0.062, 1.0, -0.03, "head"),
    *((f"shoulder_{s}", f"elbow_{s}", 0.042, 0.034, 1.0, -0.03, "top") for s in "rl"),
    *((f"elbow_{s}", f"wrist_{s}", 0.033, 0.026, 1.0, -0.04, "sleeve") for s in "rl"),
    *((f"wrist_{s}", f"hand_{s}", 0.026, 0.024, 1.0, -0.05, "skin") for s in "rl"),
    *((f"hip_{s}", f"knee_{s}", 0.066, 0.050, 1.0, 0.0, "legs") for s in "rl"),
    *((f"knee_{s}", f"ankle_{s}", 0.048, 0.036, 1.0, 0.0, "calf") for s in "rl"),
    *((f"ankle_{s}", f"toe_{s}", 0.034, 0.026, 1.2, -0.01, "shoe") for s in "rl"),
)
_A = [JOINT[part[0]] for part in _PARTS]
_B = [JOINT[part[1]] for part in _PARTS]
_RADII = np.array([part[2:4] for part in _PARTS], dtype=np.float32)
_FLAT = np.array([part[4] for part in _PARTS] + [1.0], dtype=np.float32)
_DEPTH = np.array([part[5] for part in _PARTS], dtype=np.float32)
_COVERS = [part[6] for part in _PARTS]
_PLUMP = np.array([c in ("top", "legs") for c in _COVERS])
_ALONG = np.linspace(0, 1, TEXTURE[0], dtype=np.float32)[:, None]
_ACROSS = np.linspace(0, 1, TEXTURE[1], dtype=np.float32)
_SKINS = np.array([[236, 200, 175], [214, 168, 136], [178, 126, 92], [120, 80, 56], [82, 56, 42]])
_HAIRS = np.array([[28, 22, 20], [62, 42, 28], [110, 78, 46], [196, 164, 104], [140, 136, 132]])


def dress(person: Person, project: Projection, rng: np.random.Generator, *, light: float) -> Limbs:
    """Return the limbs of a person and of the shadow under the feet.

    ``light`` from -1 to 1 is the side that light comes from.
    """
    pixels, scale = project(person.points)  # (F, 20, 2), (F, 20)
    size = scale[:, JOINT["pelvis"]] * person.tall  # (F,), pixels per body height
    ends: Floats = np.concatenate([pixels[:, _A], pixels[:, _B]], axis=2)  # (F, K, 4)
    head = pixels[:, JOINT["head"]] - pixels[:, JOINT["neck"]]
    head = 0.032 * head / np.maximum(np.linalg.norm(head, axis=1), 1)[:, None] * size[:, None]
    ends[:, 3, :2] -= head
    ends[:, 3, 2:] += head
    radii = _radii(person, pixels, size, rng)
    depth: Floats = (person.points[:, _A, 1] + person.points[:, _B, 1]) / 2 + _DEPTH
    ends, radii, depth = _with_shadow(person, project, ends, radii, depth, size)
    mirror = np.where(np.cos(np.deg2rad(person.facing)) >= 0, 1, -1).astype(np.float32)
    covers = _covers(person, rng, light)
    texture = np.stack([covers[name] for name in _COVERS] + [np.full((*TEXTURE, 4), 25, np.uint8)])
    opacity = np.ones(len(_FLAT), dtype=np.float32)
    opacity[-1] = rng.uniform(0.1, 0.5)
    wide = np.repeat(mirror[:, None], len(_FLAT), axis=1)
    return Limbs(ends, radii, depth, texture, _FLAT, opacity, wide)


def _radii(person: Person, pixels: Floats, size: Floats, rng: np.random.Generator) -> Floats:
    factor = np.full(len(_PARTS), rng.normal(1, 0.1), dtype=np.float32).clip(0.8, 1.3)
    factor = np.where(_PLUMP, factor * np.float32(rng.uniform(0.92, 1.25)), factor)
    factor[3] = rng.normal(1, 0.06)
    radii = np.repeat((_RADII * factor[:, None])[None], len(size), axis=0)  # (F, K, 2)
    # The trunk is about as wide as the shoulders seem, at least as wide as it is deep.
    shoulders = pixels[:, JOINT["shoulder_l"]] - pixels[:, JOINT["shoulder_r"]]
    seen = np.linalg.norm(shoulders, axis=1) / np.maximum(size, 1) / 2  # (F,), 0 to 0.1
    plump = factor[0]
    radii[:, 0, 0] = np.hypot(0.066 * plump, seen * 0.95)
    radii[:, 0, 1] = np.hypot(0.066 * plump, seen * 0.6)
    radii[:, 1] = np.hypot(0.058 * plump, seen[:, None] * 0.3)
    radii *= size[:, None, None]
    return radii


def _with_shadow(
    person: Person, project: Projection, ends: Floats, radii: Floats, depth: Floats, size: Floats
) -> tuple[Floats, Floats, Floats]:
    floor = person.points[:, [JOINT["ankle_r"], JOINT["ankle_l"]]].copy()
    floor[..., 2] = 0.0
    on_floor, _ = project(floor)
    left = on_floor.min(axis=1)
    right = on_floor.max(axis=1)
    middle = (left[:, 1] + right[:, 1]) / 2
    shadow = np.stack([left[:, 0], middle, right[:, 0] + 0.1 * size, middle], axis=1)
    thick = np.repeat((0.045 * size)[:, None, None], 2, axis=2)
    behind = depth.max(axis=1, keepdims=True) + 5
    return (
        np.concatenate([ends, shadow[:, None]], axis=1).astype(np.float32),
        np.concatenate([radii, thick], axis=1).astype(np.float32),
        np.concatenate([depth, behind], axis=1).astype(np.float32),
    )


def _covers(person: Person, rng: np.random.Generator, light: float) -> dict[str, Pixels]:
    skin = _SKINS[rng.integers(len(_SKINS))] + rng.normal(0, 8, 3)
    hair = _HAIRS[rng.integers(len(_HAIRS))] + rng.normal(0, 8, 3)
    top, legs, shoe = (cloth_colour(rng) for _ in range(3))
    plain = np.zeros(TEXTURE, dtype=np.float32)
    top_cloth = _shaded(_cloth(top, rng, motley=0.45), light)
    legs_cloth = _shaded(_cloth(legs, rng, motley=0.15), light)
    bare = _shaded(_mixed(skin, skin, plain), light)
    dark = _shaded(_mixed(shoe * 0.6, shoe, plain), light)
    head = _shaded(_mixed(skin, hair, _hair(float(person.facing.mean()), rng)), light)
    return {
        "top": top_cloth,
        "legs": legs_cloth,
        "skin": bare,
        "head": head,
        "shoe": dark,
        "sleeve": top_cloth if rng.random() < 0.45 else bare,
        "calf": bare if rng.random() < 0.15 else legs_cloth,
    }


def cloth_colour(rng: np.random.Generator) -> Floats:
    """Return an RGB colour as clothes have it: often grey, dark, white or denim."""
    grey = pick(rng, (30, 60, 110, 170, 230)) + rng.normal(0, 12)
    vivid = rng.uniform(0, 255, 3)
    share = pick(rng, (0.1, 0.3, 0.5, 1.0))
    return np.clip(share * vivid + (1 - share) * grey, 5, 250).astype(np.float32)


def _cloth(colour: Floats, rng: np.random.Generator, *, motley: float) -> Floats:
    other = cloth_colour(rng) if rng.random() < motley else colour * rng.uniform(0.75, 1.2)
    return _mixed(colour, other, _patterns()[rng.integers(len(_patterns()))])


def _mixed(first: Floats, second: Floats, share: Floats) -> Floats:
    """Return float (32, 24, 3): ``first`` where ``share`` is 0, ``second`` where it is 1."""
    first, second = np.float32(first), np.float32(second)
    return first + share[..., None] * (second - first)


def _shaded(cloth: Floats, light: float) -> Pixels:
    """Shade a texture like a cylinder, pad it to four channels and make it uint8."""
    shade = 1.08 - 0.3 * (2 * _ACROSS - 1 - np.float32(light)) ** 2 / (1 + abs(light)) ** 2
    out = np.zeros((*TEXTURE, 4), dtype=np.uint8)
    out[..., :3] = np.minimum(np.maximum(cloth * shade[:, None], 0), 255)
    return out


def _hair(facing: float, rng: np.random.Generator) -> Floats:
    """Return where hair is on a head (32, 24): row 31 is the crown, column 0 the back."""
    front = -np.sin(np.deg2rad(facing))  # 1 looks into the camera, -1 away from it
    back = 0.42 * (1 - front) if front > 0 else 0.42 - 0.6 * front
    low = pick(rng, (0.45, 0.3, 0.05))
    hair = (_ALONG > 0.72) | ((back > _ACROSS) & (low < _ALONG))
    share: Floats = hair.astype(np.float32)
    return share


@lru_cache(maxsize=1)
def _patterns() -> tuple[Floats, ...]:
    """Return masks (32, 24) between 0 and 1: plain, stripes, checks, prints, folds."""
    rng = np.random.default_rng(20180407)
    row = np.arange(TEXTURE[0], dtype=np.float32)[:, None]
    column = np.arange(TEXTURE[1], dtype=np.float32)[None]
    masks: list[Floats] = [np.zeros(TEXTURE, dtype=np.float32)] * 6
    for period in (3.0, 4.5, 6.0, 9.0):
        across = (np.sin(2 * np.pi * row / period) > 0) + 0 * column
        along = (np.sin(2 * np.pi * column / period) > 0.2) + 0 * row
        masks += [across, along, across * along, (across + along) / 2]
    for level in (4, 6, 8):
        coarse = rng.random((level, level))
        index = np.ix_(np.arange(TEXTURE[0]) * level // TEXTURE[0],
                       np.arange(TEXTURE[1]) * level // TEXTURE[1])  # fmt: skip
        masks += [coarse[index], (coarse[index] > 0.6).astype(np.float32)]
    half = np.repeat((row > rng.uniform(8, 22)), TEXTURE[1], axis=1)
    badge = (np.abs(row - 10) < 5) & (np.abs(column - 12) < 5)
    return tuple(np.float32(mask) for mask in [*masks, half, badge])
