"""Labelled synthetic clips of people who do things: (seed, index) -> 16 frames and a class.

    frames, label = render(seed, index)      # uint8 (16, 112, 112, 3) and a place in CLASSES

The same pair gives the same pixels in every process. Classes take turns: ``index % len(CLASSES)``.
What is random: bodies, clothes, hands, style, speed, phase, view, camera, scenery, light,
bystanders, noise. What decides the label is the motion.
"""

from __future__ import annotations

import numpy as np
from body import JOINT
from cast import CLASSES, FRAMES, Person, cast
from degrade import degrade
from drawing import Floats, Limbs, Pixels, draw
from scenery import SIZE, Camera, View, backdrop, film, look_at, movers
from wardrobe import dress

__all__ = ["CLASSES", "FLIPPED", "FRAMES", "SIZE", "people", "render"]

_OTHER_HAND = {"left": "right", "right": "left"}
# FLIPPED[label] is the label of the mirrored clip.
FLIPPED = tuple(
    CLASSES.index(" ".join(_OTHER_HAND.get(word, word) for word in name.split()))
    for name in CLASSES
)


def render(seed: int, index: int, *, plain: bool = False) -> tuple[Pixels, int]:
    """Return uint8 (16, 112, 112, 3) and the label.

    Parameters
    ----------
    seed: of the data set; take another one for held-out clips.
    index: of the clip, from 0 on without end.
    plain: True has the camera stand still and leaves out noise and other things that move.
    """
    label, rng, actors = _begin(seed, index)
    if plain:
        actors = actors[: 1 + (label >= CLASSES.index("standing together"))]
    view = look_at(actors, rng)
    camera = _still() if plain else film(rng, _follow(label, actors, view))
    frames = backdrop(camera, view, rng)
    light = float(rng.uniform(-1, 1))
    limbs = [dress(person, view.project(camera), rng, light=light) for person in actors]
    passing = None if plain else movers(camera, rng)
    draw(frames, joined(limbs if passing is None else [*limbs, passing]),
         softness=float(rng.uniform(0.9, 1.7)))  # fmt: skip
    frames = frames if plain else degrade(frames, rng)
    return without_padding(frames), label


def people(seed: int, index: int) -> tuple[list[Person], int]:
    """Return the persons of a clip, those who act first, and the label, without drawing them."""
    label, _, actors = _begin(seed, index)
    return actors, label


def _begin(seed: int, index: int) -> tuple[int, np.random.Generator, list[Person]]:
    label = index % len(CLASSES)
    rng = np.random.default_rng([seed, index])
    return label, rng, cast(label, rng)


def _follow(label: int, actors: list[Person], view: View) -> Floats | None:
    """Return the way to the right, in pixels, of one who walks or runs."""
    if not CLASSES[label].startswith(("walking", "running")):
        return None
    way: Floats = actors[0].points[:, JOINT["pelvis"], 0] * np.float32(view.scale)
    return way


def without_padding(frames: Pixels) -> Pixels:
    """Return (..., 3) of (..., 4): three words out of four, faster than copying threes of bytes."""
    words = np.ascontiguousarray(frames).view("<u4").reshape(-1, 4) & np.uint32(0xFFFFFF)
    a, b, c, d = words.T
    out = np.empty((len(words), 3), dtype="<u4")
    out[:, 0] = a | b << 24
    out[:, 1] = b >> 8 | c << 16
    out[:, 2] = c >> 16 | d << 8
    return out.view(np.uint8).reshape(*frames.shape[:-1], 3)


def _still() -> Camera:
    return Camera(np.repeat(np.eye(2, 3, dtype=np.float32)[None], FRAMES, axis=0), True)


def joined(limbs: list[Limbs]) -> Limbs:
    """Return all limbs as one; those of each person keep to their own textures."""
    per_frame = {
        name: np.concatenate([getattr(part, name) for part in limbs], axis=1)
        for name in ("ends", "radii", "depth", "mirror")
    }
    per_limb = {
        name: np.concatenate([getattr(part, name) for part in limbs])
        for name in ("texture", "flat", "opacity")
    }
    return Limbs(**per_frame, **per_limb)
