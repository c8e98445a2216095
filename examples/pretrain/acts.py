"""What one person does: keyframes of joint angles over a time that runs from 0 to 1.

``core`` is the part that tells an act from the others; every clip shows a moment of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Keys = list[tuple[float, dict[str, float]]]
Draw = Callable[[float, float], float]  # (low, high) -> a random number between them


@dataclass(frozen=True)
class Act:
    """One figure's part.

    Parameters
    ----------
    keys: keyframes, see :func:`body.angles`.
    core: first and last time of what matters.
    run: 1.0 runs instead of walking wherever the figure goes.
    yaw: degrees that the figure faces, 0 to the right, -90 to the camera; None is any.
    repeat: (angle, degrees, cycles per second), swung as long as ``during`` lasts.
    during: the times between which ``repeat`` is at work.
    travel: heights per second that the figure walks without end.
    least: seconds that the timeline takes at the fastest.
    """

    keys: Keys
    core: tuple[float, float] = (0.35, 0.6)
    run: float = 0.0
    yaw: float | None = None
    repeat: tuple[tuple[str, float, float], ...] = ()
    during: tuple[float, float] = (-9.0, 9.0)
    travel: float = 0.0
    least: float = 0.8


def both(**pose: float) -> dict[str, float]:
    """Return a pose with every angle given for both sides: ``both(arm=90)``."""
    return {f"{name}_{s}": value for name, value in pose.items() for s in "rl"}


def still(pose: dict[str, float] | None = None) -> Keys:
    """Return keyframes that hold one pose."""
    return [(0.0, pose or {}), (1.0, pose or {})]


def _aside(u: Draw) -> float:
    """Return a view of what goes forward: mostly from the side, where it can be seen best."""
    return u(-50, 50) + (180 if u(0, 1) < 0.5 else 0) if u(0, 1) < 0.65 else u(-180, 180)


def stand(u: Draw) -> Act:
    """Stand, with the arms as people hold them."""
    poses: tuple[dict[str, float], ...] = (
        {},
        {},
        both(elbow=95, swing=-50, out=12),
        both(arm=-18, swing=-25, elbow=15),
    )
    return Act(still(poses[int(u(0, 4))]))


def _travel(yaw: float, *, run: bool) -> Callable[[Draw], Act]:
    def act(u: Draw) -> Act:
        speed = u(1.7, 3.0) if run else u(0.55, 1.0)
        return Act(still(), yaw=yaw + u(-22, 22), run=float(run), travel=speed)

    return act


def wave(u: Draw) -> Act:
    """Raise one hand and swing it."""
    rate = u(1.2, 2.6)
    sway: tuple[tuple[str, float, float], ...]
    if u(0, 1) < 0.5:
        up = {"arm_r": 10.0, "out_r": u(70, 105), "swing_r": u(45, 65)}
        sway = (("swing_r", u(20, 35), rate), ("out_r", u(0, 10), rate))
        yaw = u(-50, 50) + (90 if u(0, 1) < 0.3 else -90)  # from the side one would not see it
    else:
        up = {"arm_r": u(95, 130), "out_r": 25.0, "elbow_r": u(30, 60)}
        sway = (("swing_r", u(22, 38), rate), ("elbow_r", u(18, 30), rate), ("arm_r", 6.0, rate))
        yaw = u(-180, 180)
    return Act([(0, {}), (0.2, up), (0.8, up), (1, {})], (0.25, 0.75), repeat=sway, yaw=yaw,
               during=(0.12, 0.88), least=1.2)  # fmt: skip


def point(u: Draw) -> Act:
    """Raise one arm straight out and hold it."""
    aside = u(0, 1) < 0.3
    far = (
        {"arm_r": u(5, 20), "out_r": u(70, 95)}
        if aside
        else {"arm_r": u(75, 105), "out_r": u(0, 20)}
    )
    far |= {"elbow_r": u(0, 8), "twist": u(0, 15)}
    core = (0.16, 0.26) if u(0, 1) < 0.6 else (0.74, 0.84)
    yaw = u(-180, 180) if aside else _aside(u)
    return Act([(0, {}), (0.3, far), (0.7, far), (1, {})], core, yaw=yaw)


def punch(u: Draw) -> Act:
    """Shoot one fist forward out of a guard."""
    guard = {"arm_r": 40.0, "elbow_r": 105.0, "arm_l": 45.0, "elbow_l": 105.0}
    guard |= {"hip_l": 12.0, "hip_r": -14.0}
    back = guard | {"arm_r": u(-30, 10), "elbow_r": 115.0, "twist": -20.0}
    far = guard | {"arm_r": u(80, 100), "elbow_r": 4.0, "twist": u(20, 40), "lean": u(5, 20)}
    start = guard if u(0, 1) < 0.6 else {}
    keys: Keys = [(0, start), (0.3, back), (0.48, far), (0.7, guard), (1, start)]
    return Act(keys, (0.36, 0.58), yaw=_aside(u))


def kick(u: Draw) -> Act:
    """Swing one leg up to the front."""
    back = {"hip_r": -25.0, "knee_r": u(40, 80), "lean": 8.0, "arm_l": 30.0}
    far = {"hip_r": u(70, 105), "knee_r": u(0, 12), "lean": -u(10, 30)}
    far |= {"arm_r": -30.0, "arm_l": 35.0, "out_l": 30.0, "out_r": 30.0}
    down = {"hip_r": 25.0, "knee_r": 50.0}
    keys: Keys = [(0, {}), (0.28, back), (0.5, far), (0.7, down), (1, {})]
    return Act(keys, (0.36, 0.64), yaw=_aside(u))


def _seat(u: Draw) -> dict[str, float]:
    return both(hip=u(80, 95), knee=u(80, 100), arm=u(20, 40), elbow=u(20, 60)) | {"lean": u(-5, 8)}


def _rise(u: Draw) -> dict[str, float]:
    return both(hip=65, knee=75, arm=u(20, 70)) | {"lean": u(25, 42)}


def sit_down(u: Draw) -> Act:
    """Go from standing to sitting."""
    return Act([(0.05, {}), (0.5, _rise(u)), (0.95, _seat(u))], (0.35, 0.65))


def stand_up(u: Draw) -> Act:
    """Go from sitting to standing."""
    return Act([(0.05, _seat(u)), (0.5, _rise(u)), (0.95, {})], (0.35, 0.65))


def bend(u: Draw) -> Act:
    """Bend the trunk down, hands to the floor, and come up."""
    lean, knee = u(65, 95), u(5, 60)
    down = both(arm=lean, elbow=5, hip=knee * 0.7, knee=knee) | {"lean": lean, "nod": 10}
    return Act([(0, {}), (0.45, down), (0.55, down), (1, {})], (0.2, 0.8))


def squat(u: Draw) -> Act:
    """Go down into a squat, trunk upright, and up."""
    down = both(hip=u(95, 115), knee=u(120, 140), arm=u(10, 90), elbow=10) | {"lean": u(5, 20)}
    return Act([(0, {}), (0.45, down), (0.55, down), (1, {})], (0.2, 0.8))


def jump(u: Draw) -> Act:
    """Crouch, leap and land."""
    crouch = both(hip=u(45, 70), knee=u(70, 100), arm=-30) | {"lean": u(15, 30)}
    air = both(hip=5, knee=u(5, 20), arm=u(60, 160)) | {"hop": u(0.15, 0.32)}
    land = both(hip=40, knee=60, arm=20) | {"lean": 15}
    return Act([(0, {}), (0.25, crouch), (0.45, air), (0.62, land), (1, {})], (0.3, 0.58))


def jumping_jack(u: Draw) -> Act:
    """Spread arms and legs and close them, again and again."""
    half, rate = u(60, 75), u(0.9, 1.8)
    middle = both(out=half + 8, apart=14) | {"hop": 0.04, "free": 1.0}
    sway = tuple((f"out_{s}", half, rate) for s in "rl") + tuple(
        (f"apart_{s}", 13.0, rate) for s in "rl"
    )
    yaw = u(-55, 55) + (90 if u(0, 1) < 0.3 else -90)  # from the side one would not see it
    return Act(still(middle), (0.1, 0.9), repeat=sway, yaw=yaw)


def _lying(u: Draw) -> tuple[dict[str, float], dict[str, float]]:
    way = int(u(0, 3))
    if way == 0:
        flat = both(arm=u(60, 150), elbow=30, out=20) | {"tip": u(82, 95)}
        return both(knee=50, hip=20, arm=50) | {"tip": 40, "lean": 10}, flat
    if way == 1:
        flat = both(arm=u(0, 60), out=40, hip=u(0, 30), knee=u(0, 50)) | {"tip": -u(80, 95)}
        return both(hip=50, knee=60, arm=60, out=30) | {"tip": -35, "lean": 10}, flat
    flat = both(arm=u(0, 80), out=35, knee=u(0, 40), hip=u(0, 30)) | {"roll": u(80, 95)}
    return both(knee=50, hip=25, out=50) | {"roll": 35}, flat


def fall(u: Draw) -> Act:
    """Fall from standing to lying."""
    middle, flat = _lying(u)
    return Act([(0.1, {}), (0.45, middle), (0.75, flat), (1, flat)], (0.35, 0.65))


def get_up(u: Draw) -> Act:
    """Rise from lying to standing."""
    middle, flat = _lying(u)
    knees = both(hip=60, knee=100, arm=40) | {"lean": 30}
    return Act([(0, flat), (0.35, middle), (0.65, knees), (1, {})], (0.25, 0.7))


def clap(u: Draw) -> Act:
    """Clap the hands before the chest or overhead."""
    middle = both(arm=u(40, 75), elbow=u(25, 55), swing=-12) | {"nod": u(-5, 15)}
    much, rate = u(20, 28), u(1.6, 3.2)
    repeat = tuple((f"swing_{s}", much, rate) for s in "rl")
    return Act([(0, {}), (0.15, middle), (0.85, middle), (1, {})], (0.2, 0.8), repeat=repeat,
               during=(0.1, 0.9), yaw=u(-200, 20))  # fmt: skip


def raise_arms(u: Draw) -> Act:
    """Lift both arms overhead and lower them."""
    front = u(0, 1) < 0.5
    up = both(arm=u(150, 178), elbow=5) if front else both(out=u(150, 172), elbow=5)
    return Act([(0, {}), (0.42, up), (0.58, up), (1, {})], (0.2, 0.8))


def throw(u: Draw) -> Act:
    """Draw one arm back overhead and throw."""
    back = {"arm_r": u(100, 130), "out_r": 30.0, "elbow_r": u(60, 90), "arm_l": 50.0}
    back |= {"twist": -35.0, "lean": -10.0, "hip_l": 20.0}
    go = {"arm_r": u(80, 110), "elbow_r": 5.0, "twist": 30.0, "lean": 15.0}
    go |= {"hip_r": -15.0, "hip_l": 20.0}
    after = {"arm_r": u(20, 45), "elbow_r": 15.0, "twist": 35.0, "lean": 25.0, "hip_r": -10.0}
    return Act(
        [(0, {}), (0.35, back), (0.52, go), (0.65, after), (1, {})], (0.38, 0.6), yaw=_aside(u)
    )


def drink(u: Draw) -> Act:
    """Bring one hand to the mouth, hold it there, lower it."""
    up = {"arm_r": u(35, 60), "elbow_r": u(110, 130), "swing_r": -u(10, 30), "nod": -u(0, 15)}
    core = (0.16, 0.28) if u(0, 1) < 0.6 else (0.72, 0.84)
    return Act([(0, {}), (0.32, up), (0.68, up), (1, {})], core, yaw=u(-200, 20), least=1.1)


def turn_around(u: Draw) -> Act:
    """Turn about the vertical by a half."""
    far = {"turn": u(130, 200) * (1 if u(0, 1) < 0.5 else -1), "free": 1.0}
    steps = (("hip_r", 9.0, u(1, 2)), ("knee_l", 8.0, u(1, 2)))
    return Act([(0.1, {"free": 1.0}), (0.9, far)], (0.3, 0.7), repeat=steps, during=(0.1, 0.9))


SINGLE: Mapping[str, Callable[[Draw], Act]] = {
    "standing still": stand,
    "walking left": _travel(180, run=False),
    "walking right": _travel(0, run=False),
    "walking towards": _travel(-90, run=False),
    "walking away": _travel(90, run=False),
    "running left": _travel(180, run=True),
    "running right": _travel(0, run=True),
    "turning around": turn_around,
    "waving": wave,
    "pointing": point,
    "punching the air": punch,
    "kicking the air": kick,
    "sitting down": sit_down,
    "standing up": stand_up,
    "bending down": bend,
    "squatting": squat,
    "jumping": jump,
    "jumping jacks": jumping_jack,
    "falling": fall,
    "getting up": get_up,
    "clapping": clap,
    "raising both arms": raise_arms,
    "throwing": throw,
    "drinking": drink,
}
