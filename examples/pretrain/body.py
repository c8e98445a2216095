"""Joint angles -> joints of a standing, walking or falling person, by forward kinematics.

Lengths are in body heights. A figure's own axes are forward, left and up, with the origin on the
floor under the pelvis at rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 throughout, for speed
Pose = Mapping[str, float]

# Degrees, and body heights where marked. "_r" and "_l" are the two sides.
#   arm: upper arm forward and up (0 hangs, 90 forward, 180 up); out: away from the side;
#   elbow: bends the forearm forward; swing: turns the forearm outward;
#   hip: thigh forward; apart: leg to the side; knee: bends the shin back
#   lean, side, twist: the trunk forward, sideways, about the vertical; nod: the head forward
#   tip, roll: the whole body about the feet, forward and sideways; turn: about the vertical
#   go: forward (heights); hop: off the floor (heights); free: 1 lets the feet slide
_SIDED = ("arm", "out", "elbow", "swing", "hip", "apart", "knee")
_WHOLE = ("lean", "side", "twist", "nod", "tip", "roll", "turn", "go", "hop", "free")
NAMES = tuple(f"{n}_{s}" for n in _SIDED for s in "rl") + _WHOLE
_INDEX = {name: i for i, name in enumerate(NAMES)}
_OTHER = {name: name for name in _WHOLE} | {
    f"{name}_{s}": f"{name}_{other}" for name in _SIDED for s, other in ("rl", "lr")
}
_REST = {"out_r": 7, "out_l": 7, "elbow_r": 12, "elbow_l": 12, "knee_r": 3, "knee_l": 3}
_PLAIN = ("go", "hop", "free", "turn", "twist")  # style leaves these alone
_STRIDE = 0.85  # heights covered by two steps

JOINTS = (
    "pelvis", "chest", "neck", "head", "shoulder_r", "shoulder_l", "elbow_r", "elbow_l",
    "wrist_r", "wrist_l", "hand_r", "hand_l", "hip_r", "hip_l", "knee_r", "knee_l",
    "ankle_r", "ankle_l", "toe_r", "toe_l",
)  # fmt: skip
JOINT = {name: i for i, name in enumerate(JOINTS)}


@dataclass(frozen=True)
class Build:
    """Proportions of a body, in body heights."""

    trunk: float = 0.30
    upper_arm: float = 0.17
    forearm: float = 0.15
    hand: float = 0.05
    thigh: float = 0.245
    shin: float = 0.235
    foot: float = 0.11
    shoulders: float = 0.105  # from the spine to a shoulder
    hips: float = 0.055


def angles(
    keys: Sequence[tuple[float, Pose]], at: Floats, *, swap: bool = False, gain: float = 1.0
) -> Floats:
    """Return the pose (F, len(NAMES)) at times ``at`` (F,), eased between keyframes.

    Parameters
    ----------
    keys: (time, pose), times rising; names that a pose leaves out are at rest.
    swap: True exchanges right and left.
    gain: how far joint angles go, 1.0 as written.
    """
    times = np.array([time for time, _ in keys], dtype=np.float32)
    table = np.stack([_vector(pose, swap=swap, gain=gain) for _, pose in keys])
    last = np.clip(np.searchsorted(times, at, side="right"), 1, len(keys) - 1)
    span = np.maximum(times[last] - times[last - 1], 1e-6)
    w = np.clip((at - times[last - 1]) / span, 0, 1)
    w = (w * w * (3 - 2 * w))[:, None].astype(np.float32)
    mixed: Floats = table[last - 1] * (1 - w) + table[last] * w
    return mixed


def add(pose: Floats, name: str, values: Floats | float, *, swap: bool = False) -> None:
    """Add degrees (or heights) to one angle in place, on the other side with ``swap``."""
    pose[:, _INDEX[_OTHER[name] if swap else name]] += values


def gait(pose: Floats, *, fps: float, phase: float, run: float) -> None:
    """Let the legs and arms step wherever the figure goes, in place.

    ``run`` from 0 (walk) to 1 (run); ``phase`` in degrees is the step that it begins with.
    """
    go = pose[:, _INDEX["go"]]
    speed = np.abs(np.gradient(go)) * fps  # heights per second
    much = np.sqrt(np.clip(speed / 0.7, 0, 1))
    angle = 2 * np.pi * go / (_STRIDE * (1 + run)) + np.deg2rad(phase)
    for side, sign in (("r", 1.0), ("l", -1.0)):
        swing, rise = sign * np.sin(angle), np.maximum(0, sign * np.cos(angle))
        add(pose, f"hip_{side}", much * ((24 + 18 * run) * swing + 6 * run))
        add(pose, f"knee_{side}", much * (6 + 18 * run + (42 + 50 * run) * rise))
        add(pose, f"arm_{side}", -much * (20 + 25 * run) * swing)
        add(pose, f"elbow_{side}", much * (6 + 70 * run))
    add(pose, "lean", much * (3 + 9 * run))
    add(pose, "hop", much * (0.01 + 0.03 * run) * np.abs(np.cos(angle)))
    pose[:, _INDEX["free"]] = np.maximum(pose[:, _INDEX["free"]], much)


def joints(pose: Floats, build: Build) -> Floats:
    """Return (F, 20, 3): forward, left, up of each of ``JOINTS``, in body heights."""
    radians = np.deg2rad(pose).T
    p = {name: radians[i] for name, i in _INDEX.items()}
    found: dict[str, Any] = {"pelvis": np.zeros((len(pose), 3), dtype=np.float32)}
    _legs(found, p, build)
    _trunk(found, p, build)
    _arms(found, p, build)
    points = np.stack([found[name] for name in JOINTS], axis=1).astype(np.float32)  # (F, 20, 3)
    points = _spin(points, 0, 2, p["tip"])
    points = _spin(points, 1, 2, p["roll"])
    raw = {name: pose[:, _INDEX[name]] for name in ("go", "hop", "free")}
    _stand(points, raw["hop"], raw["free"])
    points = _spin(points, 0, 1, p["turn"])
    points[:, :, 0] += raw["go"][:, None]
    return points


def _vector(pose: Pose, *, swap: bool, gain: float) -> Floats:
    row = [0.0] * len(NAMES)
    for name, value in {**_REST, **pose}.items():
        factor = 1.0 if name in _PLAIN else gain
        sign = -1.0 if swap and name in ("side", "twist", "roll") else 1.0
        row[_INDEX[_OTHER[name] if swap else name]] = value * factor * sign
    return np.array(row, dtype=np.float32)


def _limb(forward: Any, outward: Any, side: float) -> Any:
    """Return the unit vector (F, 3) of a limb that hangs down at 0 and 0."""
    vector = np.empty((len(forward), 3), dtype=np.float32)
    level = np.cos(outward)
    vector[:, 0] = np.sin(forward) * level
    vector[:, 1] = side * np.sin(outward)
    vector[:, 2] = -np.cos(forward) * level
    return vector


def _legs(found: dict[str, Any], p: dict[str, Any], build: Build) -> None:
    for s, side in (("r", -1.0), ("l", 1.0)):
        hip = found["pelvis"] + np.array([0, side * build.hips, -0.02])
        knee = hip + build.thigh * _limb(p[f"hip_{s}"], p[f"apart_{s}"], side)
        bent = p[f"hip_{s}"] - p[f"knee_{s}"]
        ankle = knee + build.shin * _limb(bent, p[f"apart_{s}"], side)
        flat = np.maximum(bent, -1.0) * 0.6 + np.pi / 2  # feet stay about level
        toe = ankle + build.foot * _limb(flat, np.full_like(flat, 0.15), side)
        for name, point in (("hip", hip), ("knee", knee), ("ankle", ankle), ("toe", toe)):
            found[f"{name}_{s}"] = point


def _trunk(found: dict[str, Any], p: dict[str, Any], build: Build) -> None:
    upper = np.zeros((len(p["lean"]), 6, 3), dtype=np.float32)
    upper[:, 0, 2] = build.trunk - 0.03  # chest
    upper[:, 1, 2] = build.trunk + 0.02  # neck
    upper[:, 2, 0] = 0.02 + 0.09 * np.sin(p["nod"])  # head
    upper[:, 2, 2] = build.trunk + 0.04 + 0.09 * np.cos(p["nod"])
    upper[:, 3:5, 2] = build.trunk - 0.02
    upper[:, 3, 1], upper[:, 4, 1] = -build.shoulders, build.shoulders
    upper = _spin(upper, 0, 1, p["twist"])
    upper = _spin(_spin(upper, 0, 2, p["lean"]), 1, 2, p["side"])
    for i, name in enumerate(("chest", "neck", "head", "shoulder_r", "shoulder_l")):
        found[name] = found["pelvis"] + upper[:, i]


def _arms(found: dict[str, Any], p: dict[str, Any], build: Build) -> None:
    for s, side in (("r", -1.0), ("l", 1.0)):
        bent = p[f"arm_{s}"] + p[f"elbow_{s}"]
        outward = p[f"out_{s}"] + p[f"swing_{s}"]
        both = np.stack(
            [_limb(p[f"arm_{s}"], p[f"out_{s}"], side), _limb(bent, outward, side)], axis=1
        )
        both = _spin(_spin(both, 0, 1, p["twist"]), 0, 2, p["lean"])
        found[f"elbow_{s}"] = found[f"shoulder_{s}"] + build.upper_arm * both[:, 0]
        found[f"wrist_{s}"] = found[f"elbow_{s}"] + build.forearm * both[:, 1]
        found[f"hand_{s}"] = found[f"wrist_{s}"] + build.hand * both[:, 1]


def _spin(points: Floats, first: int, second: int, angle: Any) -> Floats:
    """Turn (F, n, 3) from axis ``second`` towards axis ``first`` (up falls forward)."""
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    a, b = points[..., first], points[..., second]
    turned: Floats = points.copy()
    if (first, second) == (0, 1):  # about the vertical: forward turns to the left
        turned[..., 0], turned[..., 1] = c * a - s * b, s * a + c * b
    else:
        turned[..., first], turned[..., second] = c * a + s * b, c * b - s * a
    return turned


def _stand(points: Floats, hop: Floats, free: Floats) -> None:
    """Put the lowest part on the floor and, unless the figure is free, keep the feet in place."""
    solid = [JOINT[n] for n in ("ankle_r", "ankle_l", "toe_r", "toe_l", "pelvis", "chest", "head")]
    room = np.array([0.04, 0.04, 0.02, 0.02, 0.09, 0.09, 0.08], dtype=np.float32)
    low = (points[:, solid, 2] - room).min(axis=1)
    points[:, :, 2] += (hop - low)[:, None]
    feet = points[:, [JOINT["ankle_r"], JOINT["ankle_l"]]]  # (F, 2, 3)
    weight = np.exp(-np.clip(feet[:, :, 2] - feet[:, :, 2].min(axis=1, keepdims=True), 0, 1) * 60)
    weight /= weight.sum(axis=1, keepdims=True)
    shift = (feet[:, :, :2] * weight[:, :, None]).sum(axis=1) * (1 - free)[:, None]
    points[:, :, :2] -= shift[:, None] * np.array([1.0, 0.0], dtype=np.float32)
