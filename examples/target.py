"""Hand-drawn people in motion: a small labelled video set to transfer to.

    python examples/target.py FOLDER --per-class 20 --seed 0

writes real mp4 files, a folder for each class, the same for the same seed. Stick figures in ink or
chalk on paper, boards and blueprints do eight things. It is a toy made to differ from what the
bundled model was trained on (textured, clothed, rendered bodies, ``pretrain/figures.py``) in look
and in classes, while both show bodies that move: the joints come from the same skeleton
(``pretrain/body.py``). Six of the classes are three pairs of which one is the other played
backwards, so that no single frame tells them apart, and mirroring changes no label. Results on it
say nothing about footage of a camera.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from target_actions import ACTIONS, FPS, FRAMES, Floats, Rng, Scene, ring

HEIGHT, WIDTH = 120, 160
CLASSES = tuple(ACTIONS)
Pixels = NDArray[np.uint8]

# Paper and ink, RGB: white, cream, kraft, blackboard, blueprint, slate.
_PAPERS = (
    ((250, 250, 248), (20, 20, 30)),
    ((243, 232, 205), (70, 40, 25)),
    ((196, 160, 120), (35, 25, 20)),
    ((38, 66, 52), (235, 238, 228)),
    ((32, 66, 140), (215, 228, 250)),
    ((52, 54, 60), (250, 220, 120)),
)


def draw(seed: int, index: int) -> tuple[Pixels, int]:
    """Return uint8 (24, 120, 160, 3) at 12 frames per second, and the label ``index % 8``."""
    label = index % len(CLASSES)
    rng = np.random.default_rng([seed, index])
    scene = ACTIONS[CLASSES[label]](rng)
    return _film(_lines(scene, rng), rng), label


def _lines(scene: Scene, rng: Rng) -> Floats:
    """Return (F, S, 2, 2): x and y in pixels of both ends of every line, as a camera sees them."""
    bones = scene.bones
    yaw = np.deg2rad(rng.uniform(-50, 50) + (180 if rng.random() < 0.5 else 0))
    everything = np.concatenate([bones, scene.things], axis=1)
    c, s, tilt = np.cos(yaw), np.sin(yaw), rng.uniform(0.0, 0.25)
    head = ring(scene.head, 0.0)  # a circle from wherever one looks

    def seen(p: Floats) -> Floats:
        right, away = p[..., 0] * c - p[..., 1] * s, p[..., 0] * s + p[..., 1] * c
        return np.stack([right, -(p[..., 2] + tilt * away)], axis=-1)

    flat = np.concatenate([seen(everything), seen(head) + _circle(0.075)], axis=1)
    return _camera(flat, bones=bones.shape[1], rng=rng)


def _circle(radius: float) -> Floats:
    turn = np.linspace(0, 2 * np.pi, 9)
    rim = np.stack([np.cos(turn), np.sin(turn)], axis=-1) * radius
    return np.stack([rim[:-1], rim[1:]], axis=1)


def _camera(flat: Floats, *, bones: int, rng: Rng) -> Floats:
    """Put lines in body heights into the picture; in half of the videos the camera follows."""
    height = rng.uniform(0.5, 0.85) * HEIGHT
    body = flat[:, :bones].mean(axis=(1, 2))  # (F, 2)
    follow = rng.uniform(0.7, 1.0) if rng.random() < 0.5 else 0.0
    centre = follow * body + (1 - follow) * body.mean(axis=0)
    time = np.linspace(0, 1, FRAMES)[:, None]
    drift = rng.normal(0, 2.5, 2) * time + rng.normal(0, 1.5, 2) * np.sin(2 * np.pi * time)
    middle = np.array([WIDTH, HEIGHT]) / 2 + rng.normal(0, 1, 2) * [10, 5] + drift
    zoom = height * np.exp(rng.normal(0, 0.05) * time)
    placed = (flat - centre[:, None, None]) * zoom[:, None, None] + middle[:, None, None]
    held = np.arange(FRAMES) // int(rng.integers(1, 4))  # drawn anew every 1 to 3 frames
    wobble = rng.normal(0, rng.uniform(0.1, 0.7), (FRAMES, *placed.shape[1:]))[held]
    wobbled: Floats = placed + wobble
    return wobbled


def _film(lines: Floats, rng: Rng) -> Pixels:
    """Draw the lines of each frame on paper."""
    paper, ink = (np.array(c, np.float32) for c in _PAPERS[int(rng.integers(len(_PAPERS)))])
    page = np.broadcast_to(paper, (HEIGHT, WIDTH, 3)) + _stains(rng) * 14
    doodles = _doodles(rng)
    page = page + (ink - page) * (doodles * rng.uniform(0.25, 0.8))[..., None]
    width, grain = rng.uniform(1.3, 3.2), rng.uniform(1, 5)
    frames = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    for i, ends in enumerate(lines):
        cover = strokes(ends, width)[..., None]
        noise = rng.normal(0, grain, (HEIGHT, WIDTH, 1)).astype(np.float32)
        frames[i] = np.clip(page + (ink - page) * cover + noise, 0, 255)
    return frames


def _stains(rng: Rng) -> Floats:
    """Return smooth noise (H, W, 1), about -1 to 1."""
    rough = rng.normal(0, 0.5, (5, 7))
    y, x = np.linspace(0, 3.999, HEIGHT), np.linspace(0, 5.999, WIDTH)
    i, j = y.astype(int)[:, None], x.astype(int)[None]
    v, w = (y % 1)[:, None], (x % 1)[None]
    top = rough[i, j] * (1 - w) + rough[i, j + 1] * w
    low = rough[i + 1, j] * (1 - w) + rough[i + 1, j + 1] * w
    smooth: Floats = (top * (1 - v) + low * v)[..., None].astype(np.float32)
    return smooth


def _doodles(rng: Rng) -> Floats:
    """Return the cover (H, W) of what else is on the page: rules or squares, and scribbles."""
    size = np.array([WIDTH, HEIGHT])
    lines = [rng.uniform(0, 1, (2, 2)) * size for _ in range(int(rng.integers(0, 4)))]
    gap, kind = rng.uniform(12, 30), int(rng.integers(3))
    if kind > 0:
        lines += [np.array([[0, y], [WIDTH, y]]) for y in np.arange(gap / 2, HEIGHT, gap)]
    if kind > 1:
        lines += [np.array([[x, 0], [x, HEIGHT]]) for x in np.arange(gap / 2, WIDTH, gap)]
    return strokes(np.array(lines).reshape(-1, 2, 2), float(rng.uniform(0.7, 1.5)))


def strokes(ends: Floats, width: float) -> Floats:
    """Return how far lines (S, 2, 2) of a width in pixels cover each pixel: float32 (H, W)."""
    cover = np.zeros((HEIGHT, WIDTH), np.float32)
    reach = width / 2 + 1
    for a, b in ends:
        low = np.maximum(np.floor(np.minimum(a, b) - reach), 0).astype(int)
        high = np.minimum(np.ceil(np.maximum(a, b) + reach), [WIDTH - 1, HEIGHT - 1]).astype(int)
        if (low > high).any():
            continue
        y, x = np.ogrid[low[1] : high[1] + 1, low[0] : high[0] + 1]
        way = b - a
        along = ((x - a[0]) * way[0] + (y - a[1]) * way[1]) / max(float(way @ way), 1e-6)
        along = np.clip(along, 0, 1)
        away = np.hypot(x - a[0] - along * way[0], y - a[1] - along * way[1])
        part = cover[low[1] : high[1] + 1, low[0] : high[0] + 1]
        np.maximum(part, np.clip(width / 2 + 0.5 - away, 0, 1), out=part)
    return cover


def write(folder: Path, *, per_class: int, seed: int = 0) -> Path:
    """Write ``per_class`` videos of each class as ``folder/CLASS/NUMBER.mp4``; return the folder.

    Sets of different seeds have no video in common.
    """
    for index in range(per_class * len(CLASSES)):
        frames, label = draw(seed, index)
        path = folder / CLASSES[label] / f"{index // len(CLASSES):03d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        _encode(path, frames)
    return folder


def _encode(path: Path, frames: Pixels) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options={"crf": "20"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.thread_count = 1  # the same bytes on any machine
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write hand-drawn people in motion as mp4 files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-class", type=int, default=20, help="videos of each class (20)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other videos (0)")
    chosen = parser.parse_args()
    write(chosen.folder, per_class=chosen.per_class, seed=chosen.seed)
    print(f"{chosen.per_class * len(CLASSES)} videos in {chosen.folder}: {', '.join(CLASSES)}")


if __name__ == "__main__":
    main()
