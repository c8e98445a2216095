"""Render the sample video that `c3dhub demo` shows, and what is to be seen in it when.

python examples/pretrain/sample.py          # writes c3dhub/registry/bundled/sample/
python examples/pretrain/sample.py --output elsewhere

One scene after the other, each with people, clothes and a place of its own. Scenes last one or two
clips of 16 frames, so that each clip shows one of them. Nothing was chosen by what a model makes of
it: scene n is drawn from the seed (SEED, n), which no training clip has.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from acts import Act
from cast import CLASSES, FRAMES, Person, Timing, cast
from drawing import Floats, Pixels, draw
from duets import DUETS
from figures import joined, without_padding
from scenery import MARGIN, SIZE, Camera, View, scenery
from torch.nn import functional as F
from wardrobe import dress

from c3dhub.base.files import atomic_path

FOLDER = (
    Path(__file__).resolve().parent.parent.parent / "c3dhub" / "registry" / "bundled" / "sample"
)
SEED = 20_180_619
WIDTH, HEIGHT, FPS = 320, 240, 15
# What is shown, and for how many clips.
SCENES = (
    ("waving", 2),
    ("walking right", 1),
    ("jumping jacks", 1),
    ("sitting down", 1),
    ("kicking the air", 1),
    ("shaking hands", 2),
    ("pushing", 1),
    ("hugging", 1),
    ("falling", 1),
)


@dataclass(frozen=True)
class LongTiming(Timing):
    """A part of an act that lasts ``count`` frames."""

    count: int = FRAMES

    @property
    def seconds(self) -> Floats:
        """Time of each frame, 0 in the middle."""
        found: Floats = (np.arange(self.count) - (self.count - 1) / 2).astype(np.float32) / self.fps
        return found

    @property
    def timeline(self) -> Floats:
        """Time of each frame on the acts' own scale."""
        return np.linspace(self.begin, self.end, self.count, dtype=np.float32)


def scene(number: int, name: str, count: int) -> Pixels:
    """Return uint8 (count, 240, 320, 3) of class ``name``, the same for the same arguments."""
    rng = np.random.default_rng([SEED, number])

    def time(act: Act) -> Timing:
        # As fast as people do it, around the moment that tells the act from others.
        length = min(1.2, count / FPS / max(act.least, 1.0))
        middle = sum(act.core) / 2
        return LongTiming(FPS, middle - length / 2, middle + length / 2, count)

    people = cast(CLASSES.index(name), rng, time=time)
    view = _view(people[: 2 if name in DUETS else 1])
    camera = Camera(np.repeat(np.eye(2, 3, dtype=np.float32)[None], count, axis=0), True)
    frames = np.repeat(_place(view, rng)[None], count, axis=0)
    large = _enlarged(view)
    light = float(rng.uniform(-1, 1))
    limbs = [dress(person, large.project(camera), rng, light=light) for person in people]
    draw(frames, joined(limbs), softness=1.4)
    return without_padding(frames)


def _view(actors: Sequence[Person]) -> View:
    """Return a nearly level view with the actors in the middle, on the scale of training clips."""
    points = np.concatenate([person.points for person in actors])
    scale, tilt = 0.72 * SIZE, float(np.deg2rad(6))
    x = SIZE / 2 - scale * float(points[..., 0].mean())
    return View(x, SIZE / 2 + scale * 0.5, scale, 8.0, tilt)


def _enlarged(view: View) -> View:
    """Return the same view in the larger frame, whose middle is that of a training clip."""
    by = HEIGHT / SIZE
    left = (WIDTH - HEIGHT) / 2
    return View(view.x * by + left, view.y * by, view.scale * by, view.away, view.tilt)


def _place(view: View, rng: np.random.Generator) -> Pixels:
    """Return uint8 (240, 320, 4): the scenery of a training clip, wider and larger."""
    canvas = torch.from_numpy(scenery(view, rng)).permute(2, 0, 1)[None].float()
    high, wide = SIZE, round(SIZE * WIDTH / HEIGHT)
    left = MARGIN - (wide - SIZE) // 2
    part = canvas[:, :, MARGIN : MARGIN + high, left : left + wide]
    large = F.interpolate(part, (HEIGHT, WIDTH), mode="bicubic").clamp(0, 255).round()
    found: Pixels = large[0].permute(1, 2, 0).contiguous().to(torch.uint8).numpy()
    return found


def write_sample(folder: Path, scenes: Sequence[tuple[str, int]] = SCENES) -> tuple[Path, Path]:
    """Write ``sample.mp4`` and ``sample.json``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    video, sidecar = folder / "sample.mp4", folder / "sample.json"
    shown, start = [], 0
    with atomic_path(video) as new, av.open(str(new), "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=FPS, options={"crf": "24", "preset": "slower"}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.thread_count = 1  # equal bytes on every machine with the same x264
        for number, (name, clips) in enumerate(scenes):
            count = clips * FRAMES
            for i, pixels in enumerate(scene(number, name, count)):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = start + i, Fraction(1, FPS)
                container.mux(stream.encode(frame))
            shown.append(_row(name, start, start + count))
            start += count
        container.mux(stream.encode(None))
    about = "Drawn by examples/pretrain/sample.py in c3dhub's repository. Licence: Apache-2.0."
    with atomic_path(sidecar) as new:
        text = json.dumps({"about": about, "video": video.name, "shown": shown}, indent=1)
        new.write_text(text + "\n", encoding="utf-8", newline="\n")
    return video, sidecar


def _row(label: str, start: int, end: int) -> dict[str, object]:
    return {
        "label": label,
        "start_seconds": round(start / FPS, 6),
        "end_seconds": round(end / FPS, 6),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=FOLDER, help=f"folder ({FOLDER.name})")
    for path in write_sample(parser.parse_args().output):
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
