"""What the hand-drawn figures of ``target.py`` do: joints and the things that they handle.

Three of the eight actions are others played backwards; none is a class of ``pretrain/figures.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent / "pretrain"))

from body import JOINT, NAMES, Build, add, angles, gait, joints

FRAMES, FPS = 24, 12
Floats = NDArray[np.floating[Any]]
Rng = np.random.Generator

_SECONDS = np.arange(FRAMES, dtype=np.float32) / FPS
# Lines of a figure, from joint to joint.
_BONES = (
    ("pelvis", "chest"), ("chest", "neck"), ("shoulder_r", "shoulder_l"), ("hip_r", "hip_l"),
    ("shoulder_r", "elbow_r"), ("elbow_r", "hand_r"), ("shoulder_l", "elbow_l"),
    ("elbow_l", "hand_l"), ("hip_r", "knee_r"), ("knee_r", "ankle_r"), ("ankle_r", "toe_r"),
    ("hip_l", "knee_l"), ("knee_l", "ankle_l"), ("ankle_l", "toe_l"),
)  # fmt: skip
# The angles that everybody holds a little differently: those of limbs and trunk, not the ways.
_POSTURE = np.array([name not in ("tip", "roll", "turn", "go", "hop", "free") for name in NAMES])


@dataclass(frozen=True)
class Scene:
    """One figure and its thing, in its own axes (forward, left, up), in body heights.

    Parameters
    ----------
    points: (F, 20, 3), each of ``body.JOINTS``.
    things: (F, S, 2, 3), the lines of what it handles, from end to end.
    """

    points: Floats
    things: Floats = field(default_factory=lambda: np.zeros((FRAMES, 0, 2, 3), np.float32))

    @property
    def bones(self) -> Floats:
        """The lines of the figure without its head, (F, 14, 2, 3)."""
        lines: Floats = self.points[:, [[JOINT[a], JOINT[b]] for a, b in _BONES]]
        return lines

    @property
    def head(self) -> Floats:
        """The middle of the head, (F, 3)."""
        middle: Floats = self.points[:, JOINT["head"]] + np.array([0, 0, 0.03], np.float32)
        return middle

    def reversed(self) -> Scene:
        """Return the scene played backwards."""
        return Scene(self.points[::-1], self.things[::-1])


def _pair(**pose: float) -> dict[str, float]:
    return {f"{name}_{side}": value for name, value in pose.items() for side in "rl"}


def _joints(pose: Floats, rng: Rng) -> Floats:
    """Return the joints of a body of its own, its lowest point on the floor, hands included."""
    factors = rng.normal(1, 0.06, 4).clip(0.85, 1.15)
    build = Build(
        trunk=0.30 * (2 - factors[0]), thigh=0.245 * factors[0], shin=0.235 * factors[0],
        upper_arm=0.17 * factors[1], forearm=0.15 * factors[1], shoulders=0.105 * factors[2],
    )  # fmt: skip
    posture: Floats = rng.normal(0, 3, len(NAMES)).astype(np.float32) * _POSTURE
    points = joints(pose + posture, build)
    points[:, :, 2] -= points[:, :, 2].min(axis=1, keepdims=True)
    return points


def _hands(points: Floats) -> Floats:
    """Return (F, 3), the middle between the hands."""
    middle: Floats = points[:, [JOINT["hand_r"], JOINT["hand_l"]]].mean(axis=1)
    return middle


def _box(middle: Floats, size: float) -> Floats:
    """Return the twelve edges (F, 12, 2, 3) of an upright cube around ``middle`` (F, 3)."""
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * size / 2
    near = [(i, j) for i in range(8) for j in range(i) if (corners[i] != corners[j]).sum() == 1]
    edges: Floats = middle[:, None, None] + corners[np.array(near)][None]
    return edges


def _cycles(rng: Rng, low: float, high: float) -> Floats:
    """Return the phase (F,) of something done ``low`` to ``high`` times per second."""
    rate, begin = rng.uniform(low, high), rng.uniform()
    phase: Floats = (_SECONDS * rate + begin).astype(np.float32)
    return phase


def climb(rng: Rng) -> Scene:
    """Go up a ladder, one hand and the other foot at a time."""
    phase = _cycles(rng, 0.7, 1.3)
    high = {"arm_r": 165.0, "elbow_r": 10.0, "arm_l": 110.0, "elbow_l": 35.0}
    high |= {"hip_l": 75.0, "knee_l": 95.0, "hip_r": 15.0, "knee_r": 20.0}
    other = {f"{name[:-1]}{'l' if name[-1] == 'r' else 'r'}": v for name, v in high.items()}
    pose = angles([(0, high), (0.5, other), (1, high)], phase % 1)
    points = _joints(pose, rng)
    rise = float(rng.uniform(0.28, 0.4)) * (phase - phase.mean())
    points[:, :, 2] += rise[:, None]
    ahead = float(_hands(points)[:, 0].mean())
    rails = [((ahead, y, -1.5), (ahead, y, 3.0)) for y in (-0.16, 0.16)]
    rungs = [((ahead, -0.16, z), (ahead, 0.16, z)) for z in np.arange(-1.4, 2.9, 0.22)]
    return Scene(points, np.repeat(np.array([rails + rungs], np.float32), FRAMES, axis=0))


def pick_up(rng: Rng) -> Scene:
    """Bend down to a box and come up with it."""
    lean, knee = rng.uniform(35, 80), rng.uniform(30, 110)
    down = _pair(arm=lean + 10, elbow=8, hip=knee * 0.75, knee=knee) | {"lean": lean}
    up = _pair(arm=rng.uniform(15, 50), elbow=rng.uniform(50, 80)) | {"lean": -4.0}
    start = _pair(arm=5, elbow=10) | {"lean": 5.0}
    grip = rng.uniform(0.4, 0.6)
    ends = rng.uniform(0, 0.12, 2)
    at = np.linspace(0, 1, FRAMES, dtype=np.float32)
    points = _joints(angles([(ends[0], start), (grip, down), (1 - ends[1], up)], at), rng)
    hands = _hands(points)
    held = hands[int(np.abs(at - grip).argmin())]
    place = np.where((at < grip)[:, None], held, hands)
    return Scene(points, _box(place, float(rng.uniform(0.16, 0.26))))


def wheel(rng: Rng) -> Scene:
    """Walk behind a cart, pushing it."""
    speed = rng.uniform(0.45, 0.9)
    pose = angles([(0, {}), (1, {})], np.zeros(FRAMES, np.float32))
    add(pose, "go", (_SECONDS - _SECONDS.mean()) * speed)
    gait(pose, fps=FPS, phase=float(rng.uniform(0, 360)), run=0.0)
    grip = _pair(arm=rng.uniform(35, 65), elbow=rng.uniform(10, 40)) | {"lean": rng.uniform(4, 16)}
    for name, value in grip.items():
        add(pose, name, value)
    for side in "rl":  # the hands stay on the bar while the legs walk
        steady = pose[:, NAMES.index(f"arm_{side}")]
        add(pose, f"arm_{side}", steady.mean() - steady)
    points = _joints(pose, rng)
    hands = _hands(points)
    hands[:, 2] = hands[:, 2].mean()
    body = np.stack([hands[:, 0] + 0.3, hands[:, 1], np.full(FRAMES, 0.27)], axis=-1)
    bar = np.stack([hands, body + np.array([-0.15, 0, 0.1])], axis=1)[:, None]
    wheels = ring(body - [0, 0, 0.18], 0.09)
    return Scene(points, np.concatenate([_box(body, 0.3), bar, wheels], axis=1))


def ring(middle: Floats, radius: float) -> Floats:
    """Return eight lines (F, 8, 2, 3) around ``middle`` (F, 3), in the plane of forward and up."""
    turn = np.linspace(0, 2 * np.pi, 9)
    rim = np.stack([np.cos(turn), 0 * turn, np.sin(turn)], axis=-1) * radius
    ring: Floats = middle[:, None, None] + np.stack([rim[:-1], rim[1:]], axis=1)[None]
    return ring


def row(rng: Rng) -> Scene:
    """Sit and pull two handles, sliding back with straight legs."""
    catch = _pair(arm=rng.uniform(65, 80), elbow=5, hip=115, knee=rng.uniform(85, 115))
    drive = _pair(arm=rng.uniform(-25, 0), elbow=rng.uniform(85, 110), hip=88, knee=10)
    keys = [(0, catch | {"lean": 25.0}), (0.45, drive | {"lean": -20.0})]
    pose = angles([*keys, (1, keys[0][1])], _cycles(rng, 0.5, 0.9) % 1)
    points = _joints(pose, rng)
    feet = points[:, [JOINT["ankle_r"], JOINT["ankle_l"]], 0].mean(axis=1)
    points[:, :, 0] += (feet.mean() - feet)[:, None]
    hands = _hands(points)
    wide = np.array([0, 0.3, 0])
    bar = np.stack([hands - wide, hands + wide], axis=1)[:, None]
    return Scene(points, bar)


def chop(rng: Rng) -> Scene:
    """Raise an axe slowly and bring it down fast, again and again."""
    up = _pair(arm=rng.uniform(140, 170), elbow=rng.uniform(30, 60)) | {"lean": -8.0}
    low = _pair(arm=rng.uniform(35, 55), elbow=5, knee=30, hip=20) | {"lean": rng.uniform(30, 45)}
    pose = angles([(0, low), (0.6, up), (0.85, low), (1, low)], _cycles(rng, 0.5, 0.9) % 1)
    points = _joints(pose, rng)
    hands, elbow = _hands(points), points[:, [JOINT["elbow_r"], JOINT["elbow_l"]]].mean(axis=1)
    way = hands - elbow
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    tip, across = hands + 0.35 * way, np.stack([-way[:, 2], 0 * way[:, 1], way[:, 0]], axis=-1)
    axe = np.stack([np.stack([hands, tip], 1), np.stack([tip - 0.05 * way, tip - 0.1 * across], 1),
                    np.stack([tip, tip - 0.1 * across], 1)], axis=1)  # fmt: skip
    return Scene(points, axe)


ACTIONS: Mapping[str, Callable[[Rng], Scene]] = {
    "chopping": chop,
    "climbing down": lambda rng: climb(rng).reversed(),
    "climbing up": climb,
    "dragging a cart": lambda rng: wheel(rng).reversed(),
    "picking up": pick_up,
    "putting down": lambda rng: pick_up(rng).reversed(),
    "rowing": row,
    "wheeling a cart": wheel,
}
