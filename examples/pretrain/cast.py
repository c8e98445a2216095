"""A label and a random generator -> where everybody's joints are in every frame.

World axes: x to the right, z away from the camera, up; lengths in heights of the main figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from acts import SINGLE, Act, stand
from body import Build, Floats, add, angles, gait, joints
from duets import DUETS

FRAMES = 16
CLASSES = (*SINGLE, *DUETS)


@dataclass(frozen=True)
class Person:
    """One figure in a clip.

    Parameters
    ----------
    points: (F, 20, 3), x, z and up of each of ``body.JOINTS``.
    facing: (F,), degrees in the plane of the floor: 0 to the right, -90 to the camera.
    tall: height, 1.0 for the main figure.
    """

    points: Floats
    facing: Floats
    tall: float


@dataclass(frozen=True)
class Timing:
    """What part of the acts a clip shows: frames at ``fps``, timeline from ``begin`` to ``end``."""

    fps: float
    begin: float
    end: float

    @property
    def seconds(self) -> Floats:
        """Time of each frame, 0 in the middle of the clip."""
        middle = (FRAMES - 1) / 2
        found: Floats = (np.arange(FRAMES, dtype=np.float32) - middle) / np.float32(self.fps)
        return found

    @property
    def timeline(self) -> Floats:
        """Time of each frame on the acts' own scale."""
        return np.linspace(self.begin, self.end, FRAMES, dtype=np.float32)


def pick(rng: np.random.Generator, values: Sequence[float]) -> float:
    """Return one of a few values; ``rng.choice`` takes ten times as long."""
    return values[int(rng.random() * len(values))]


def cast(
    label: int, rng: np.random.Generator, *, time: Callable[[Act], Timing] | None = None
) -> list[Person]:
    """Return the persons of a clip of class ``label``: those who act first, then bystanders.

    ``time`` chooses what part of an act is shown; None draws it as for training.
    """

    def u(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    name = CLASSES[label]
    if name in SINGLE:
        return _alone(name, SINGLE[name](u), rng, time)
    duet = DUETS[name](u)
    timing = time(duet.a) if time else _timing(duet.a, rng)
    swap = bool(rng.random() < 0.5)
    view = u(-25, 25) if rng.random() < 0.8 else u(-60, 60)
    people = []
    for act, side in ((duet.a, -1.0), (duet.b, 1.0)):
        if swap:
            side = -side
        ahead = (0.0 if side < 0 else 180.0) if duet.turned else (180.0 if swap else 0.0)
        yaw = view + ahead + (act.yaw or 0.0) + float(rng.normal(0, 8))
        place = side * duet.distance / 2
        where = (
            place * np.cos(np.deg2rad(view)),
            place * np.sin(np.deg2rad(view)) + u(-0.04, 0.04),
        )
        people.append(
            _person(act, timing, rng, yaw=yaw, where=where, sides=bool(rng.random() < 0.5))
        )
    return people + _bystanders(rng, timing, likely=0.15)


def _alone(
    name: str, act: Act, rng: np.random.Generator, time: Callable[[Act], Timing] | None
) -> list[Person]:
    timing = time(act) if time else _timing(act, rng)
    yaw = float(rng.uniform(-180, 180)) if act.yaw is None else act.yaw
    swap = bool(rng.random() < 0.5)
    person = _person(act, timing, rng, yaw=yaw, where=(0.0, 0.0), sides=swap)
    # A second figure beside one who points or strikes would be another class.
    likely = 0.0 if name.startswith(("standing s", "point", "punch", "kick")) else 0.2
    return [person, *_bystanders(rng, timing, likely=likely)]


def _timing(act: Act, rng: np.random.Generator) -> Timing:
    """Choose a window of the timeline that holds a moment of the core, not at its very edge."""
    fps = float(rng.uniform(10, 30))
    length = float(np.exp(rng.uniform(np.log(0.3), np.log(1.4))))
    length = min(length, FRAMES / fps / act.least)
    middle = float(rng.uniform(*act.core)) + float(rng.uniform(-0.3, 0.3)) * length
    return Timing(fps, middle - length / 2, middle + length / 2)


def _person(
    act: Act,
    timing: Timing,
    rng: np.random.Generator,
    *,
    yaw: float,
    where: tuple[float, float],
    sides: bool,
    tall: float | None = None,
) -> Person:
    pose = angles(act.keys, timing.timeline, swap=sides, gain=float(rng.uniform(0.88, 1.1)))
    _habits(pose, timing.seconds, rng)
    fade = np.clip((timing.timeline - act.during[0]) * 12, 0, 1)
    fade *= np.clip((act.during[1] - timing.timeline) * 12, 0, 1)
    phase = float(rng.uniform(0, 360))
    for name, much, rate in act.repeat:
        wave = np.sin(2 * np.pi * rate * timing.seconds + np.deg2rad(phase))
        add(pose, name, (much * fade * wave).astype(np.float32), swap=sides)
    if act.travel:
        add(pose, "go", act.travel * timing.seconds)
    gait(pose, fps=timing.fps, phase=phase, run=act.run)
    tall = float(rng.normal(1, 0.06)) if tall is None else tall
    points = joints(pose, _build(rng)) * np.float32(tall)
    return Person(_place(points, yaw, where), yaw + pose[:, -4], tall)


def _habits(pose: Floats, seconds: Floats, rng: np.random.Generator) -> None:
    """Give a figure its own posture, and the sway of anybody who stands."""
    loose = np.array([3, 3, 3, 3, 6, 6, 4, 4, 3, 3, 2, 2, 4, 4, 3, 2, 4, 6, 1, 1, 0, 0, 0, 0])
    pose += (loose * rng.normal(size=len(loose))).astype(np.float32)
    rate = rng.uniform(0.2, 0.6, 6).astype(np.float32)[:, None]
    turn = rng.uniform(0, 6.3, 6).astype(np.float32)[:, None]
    wave = np.sin(2 * np.pi * rate * seconds + turn)  # (6, F)
    for name, value in zip(("lean", "side", "nod", "arm_r", "arm_l", "twist"), wave, strict=True):
        add(pose, name, value * float(rng.uniform(0, 1.2)))


def _build(rng: np.random.Generator) -> Build:
    f = rng.normal(1, 0.06, 8).clip(0.85, 1.15)
    leg = f[0]  # long legs, short trunk
    return Build(
        trunk=0.30 * (2 - leg), upper_arm=0.17 * f[1], forearm=0.15 * f[1], thigh=0.245 * leg,
        shin=0.235 * leg, shoulders=0.105 * f[2], hips=0.055 * f[3], hand=0.05 * f[4],
    )  # fmt: skip


def _place(points: Floats, yaw: float, where: Sequence[float]) -> Floats:
    """Turn (F, 20, (forward, left, up)) into the world and put the figure at ``where``."""
    c, s = np.cos(np.deg2rad(yaw)), np.sin(np.deg2rad(yaw))
    forward, left, up = points[..., 0], points[..., 1], points[..., 2]
    x = where[0] + forward * c - left * s
    z = where[1] + forward * s + left * c
    return np.stack([x, z, up], axis=-1).astype(np.float32)


def _bystanders(rng: np.random.Generator, timing: Timing, *, likely: float) -> list[Person]:
    """Return nobody, or one who stands or walks by farther back."""
    if rng.random() >= likely:
        return []

    def u(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    yaw = pick(rng, (0.0, 180.0, u(-180, 180)))
    walks = rng.random() < 0.6
    act = SINGLE["walking left"](u) if walks else stand(u)
    where = (u(-1.3, 1.3), u(1.2, 4.0))
    return [_person(act, timing, rng, yaw=yaw, where=where, sides=False, tall=u(0.85, 1.1))]
