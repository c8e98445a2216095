"""What two persons do with each other: an act for each, and how far apart they stand.

The two face each other, person a to the right, person b to the left, and meet at the middle of the
timeline. ``go`` is forward for both, so that a negative one backs off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from acts import Act, Draw, Keys, both, kick, point, punch, stand, still


@dataclass(frozen=True)
class Duet:
    """Two acts on one timeline.

    Parameters
    ----------
    a, b: the acts; ``core`` of ``a`` counts.
    distance: between the two at ``go`` 0, in body heights.
    turned: False has b face the same way as a.
    """

    a: Act
    b: Act
    distance: float
    turned: bool = True


def stepping(keys: Keys, u: Draw, *, come: float, leave: float) -> Keys:
    """Return keyframes that come from ``come`` heights away before, and back off after."""
    last = keys[-1][0]
    before: Keys = [(-0.45 - u(0, 0.3), {"go": -come}), (0.0 - u(0, 0.1), keys[0][1])]
    after: Keys = [(last + 0.1, keys[-1][1]), (last + 0.5, keys[-1][1] | {"go": -leave})]
    return [*before, *keys, *after]


def _way(u: Draw) -> tuple[float, float]:
    """How far a person comes from and goes to: often not at all."""
    return (u(0.1, 0.7) if u(0, 1) < 0.6 else 0.0), (u(0.1, 0.7) if u(0, 1) < 0.5 else 0.0)


def _met(u: Draw, a: Act, b: Act, distance: float) -> Duet:
    acts = []
    for act in (a, b):
        come, leave = _way(u)
        keys = stepping(act.keys, u, come=come, leave=leave)
        acts.append(replace(act, keys=keys, yaw=None))  # the two face each other
    return Duet(acts[0], acts[1], distance)


def stand_together(u: Draw) -> Duet:
    """Two persons stand."""
    return Duet(stand(u), stand(u), u(0.3, 1.2), turned=u(0, 1) < 0.8)


def _gap(u: Draw, sign: float) -> Duet:
    """Both, or one of them, walk towards (1) or away from each other (-1)."""
    alone = u(0, 1) < 0.4
    speed = u(0.5, 1.1)
    walk = Act(still(), (0.1, 0.9), travel=sign * speed)
    # Who departs has turned; yaw adds to the side that the person is on.
    walk = replace(walk, travel=speed, yaw=180.0) if sign < 0 else walk
    other = stand(u) if alone else replace(walk, travel=speed * u(0.8, 1.2))
    return Duet(walk, other, u(0.9, 1.3) if sign > 0 else u(0.3, 0.6))


def approach(u: Draw) -> Duet:
    """The two come closer."""
    return _gap(u, 1)


def depart(u: Draw) -> Duet:
    """The two part."""
    return _gap(u, -1)


def walk_together(u: Draw) -> Duet:
    """The two walk the same way."""
    walk = Act(still(), (0.1, 0.9), travel=u(0.55, 1.0))
    return Duet(walk, walk, u(0.3, 0.7), turned=False)


def pass_by(u: Draw) -> Duet:
    """The two walk past each other."""
    walk = Act(still(), (0.1, 0.9), travel=u(0.8, 1.3))
    return Duet(walk, replace(walk, travel=u(0.8, 1.3)), u(-0.25, 0.25))


def shake_hands(u: Draw) -> Duet:
    """Reach out, hold hands, shake them."""
    arm, rate, much = u(32, 50), u(1.5, 3.0), u(4, 9)
    hold = {"arm_r": arm, "elbow_r": u(20, 40), "out_r": 2.0, "lean": u(0, 10), "twist": u(0, 15)}
    shake = (("arm_r", much, rate), ("elbow_r", much, rate))
    keys: Keys = [(0, {}), (0.28, hold), (0.75, hold), (1, {})]
    act = Act(keys, (0.15, 0.85), repeat=shake, during=(0.26, 0.77), least=1.3)
    late = replace(act, keys=[(0, {}), (0.1, {}), *act.keys[1:]])
    return _met(u, act, late, u(0.52, 0.6))


def hug(u: Draw) -> Duet:
    """Step into each other's arms and hold."""
    gap = u(0.3, 0.5)
    keys = []
    for _ in "ab":
        arms = both(arm=u(65, 95), swing=-u(25, 50), elbow=u(15, 45), out=12)
        wide = both(arm=u(55, 85), out=30, elbow=10) | {"go": -0.05}
        hold = arms | {"lean": u(2, 12), "go": gap / 2, "nod": 10.0}
        keys.append([(0, {}), (0.2, wide), (0.4, hold), (0.75, hold), (0.9, wide), (1, {})])
    core = (0.15, 0.42) if u(0, 1) < 0.7 else (0.42, 0.9)
    return _met(u, Act(keys[0], core, least=1.4), Act(keys[1], core), gap + u(0.16, 0.22))


def _thrown_back(u: Draw, start: float, *, far: float) -> Keys:
    """Someone is hit in the chest at ``start`` and staggers back, or falls."""
    hit = both(arm=u(10, 50), out=20, elbow=30) | {"lean": -u(10, 25), "go": -far * 0.4, "nod": 15}
    away = both(arm=u(0, 30), out=15) | {"lean": u(-10, 10), "go": -far}
    if u(0, 1) < 0.15:
        away = both(arm=20, out=40, hip=30, knee=40) | {"tip": -85, "go": -far}
    return [(start, {}), (start + 0.12, hit), (start + 0.32, away), (1.1, away)]


def push(u: Draw) -> Duet:
    """Push with both hands; the other staggers back."""
    ready = both(arm=u(10, 40), elbow=u(90, 120)) | {"hip_l": 15.0, "hip_r": -15.0}
    far = both(arm=u(75, 95), elbow=5) | {
        "lean": u(8, 22),
        "go": 0.08,
        "hip_l": 25.0,
        "hip_r": -25.0,
    }
    act = Act([(0, {}), (0.3, ready), (0.46, far), (0.62, far), (1, {})], (0.36, 0.6))
    other = Act(_thrown_back(u, 0.42, far=u(0.2, 0.5)))
    return _met(u, act, other, u(0.44, 0.52))


def pull(u: Draw) -> Duet:
    """Grasp the other's arms and pull; the other stumbles forward."""
    grasp = both(arm=u(55, 75), elbow=u(5, 25)) | {"lean": 10.0}
    back = both(arm=u(25, 45), elbow=u(60, 90)) | {"lean": -15.0, "go": -u(0.2, 0.4)}
    act = Act([(0, {}), (0.3, grasp), (0.6, back), (0.8, back), (1, {})], (0.34, 0.58))
    drawn = both(arm=u(50, 80), elbow=10) | {"lean": u(20, 40), "go": u(0.25, 0.45)}
    after = {"go": drawn["go"]}
    other = Act([(0.2, {}), (0.32, both(arm=40)), (0.62, drawn), (1, after)])
    return _met(u, act, other, u(0.5, 0.58))


def hit(u: Draw) -> Duet:
    """Punch; the other's head and trunk go back."""
    act = punch(u)
    react = {"lean": -u(12, 32), "nod": -u(10, 35), "go": -u(0.05, 0.3), "twist": u(-35, 35)}
    hand = {"arm_l": 70.0, "elbow_l": 110.0} if u(0, 1) < 0.4 else {}
    after = {"go": react["go"], "lean": u(-10, 15)} | hand
    other = Act([(0.42, {}), (0.56, react | hand), (0.85, after), (1.1, after)])
    return _met(u, act, other, u(0.42, 0.52))


def kick_other(u: Draw) -> Duet:
    """Kick; the other doubles up or steps back."""
    act = kick(u)
    folded = both(arm=u(20, 50), elbow=60) | {"lean": u(20, 45), "go": -u(0.08, 0.3)}
    react = (
        folded if u(0, 1) < 0.6 else {"lean": -10.0, "go": -u(0.1, 0.3), "hip_l": 30, "knee_l": 60}
    )
    other = Act(
        [(0.42, {}), (0.58, react), (0.85, {"go": react["go"]}), (1.1, {"go": react["go"]})]
    )
    return _met(u, act, other, u(0.5, 0.68))


def point_at(u: Draw) -> Duet:
    """One points at the other."""
    act = point(u)
    straight = [(t, {k: (8.0 if k == "out_r" else max(v, 75.0) if k == "arm_r" else v)
                     for k, v in pose.items()}) for t, pose in act.keys]  # fmt: skip
    return Duet(replace(act, keys=straight, yaw=None), stand(u), u(0.55, 1.1))


def high_five(u: Draw) -> Duet:
    """Raise one hand each and clap them together."""
    back = {"arm_r": u(120, 150), "elbow_r": u(25, 50), "out_r": 5.0, "lean": -5.0}
    meet = {"arm_r": u(100, 125), "elbow_r": u(10, 25), "out_r": 2.0, "lean": 8.0, "twist": 12.0}
    act = Act([(0, {}), (0.3, back), (0.46, meet), (0.54, meet), (0.8, {}), (1, {})], (0.32, 0.6))
    return _met(u, act, act, u(0.5, 0.6))


def bow(u: Draw) -> Duet:
    """Bow to each other."""
    down = {"lean": u(30, 60), "nod": 20.0} | both(arm=u(0, 20))
    act = Act([(0, {}), (0.4, down), (0.55, down), (1, {})], (0.2, 0.8))
    return Duet(act, act, u(0.6, 1.1))


DUETS: Mapping[str, Callable[[Draw], Duet]] = {
    "standing together": stand_together,
    "approaching": approach,
    "departing": depart,
    "walking together": walk_together,
    "passing by": pass_by,
    "shaking hands": shake_hands,
    "hugging": hug,
    "pushing": push,
    "pulling": pull,
    "punching": hit,
    "kicking": kick_other,
    "pointing at": point_at,
    "high five": high_five,
    "bowing": bow,
}
