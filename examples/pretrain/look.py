"""Write a contact sheet: a row of frames for each clip, with the class beside it.

python examples/pretrain/look.py sheet.png                       # two clips of every class
python examples/pretrain/look.py sheet.png --classes pushing hugging --clips 6 --zoom 2
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from figures import CLASSES, FRAMES, SIZE, render
from PIL import Image, ImageDraw


def sheet(labels: Sequence[int], *, seed: int, clips: int, frames: int, plain: bool) -> Image.Image:
    """Return a picture with ``clips`` rows per label, each of ``frames`` frames."""
    rows = []
    shown = np.linspace(0, FRAMES - 1, frames).round().astype(int)
    for label in labels:
        for i in range(clips):
            video, _ = render(seed, label + i * len(CLASSES), plain=plain)
            rows.append((CLASSES[label], np.concatenate(list(video[shown]), axis=1)))
    picture = Image.new("RGB", (SIZE * frames, SIZE * len(rows)))
    pen = ImageDraw.Draw(picture)
    for i, (name, row) in enumerate(rows):
        picture.paste(Image.fromarray(row), (0, i * SIZE))
        pen.text((2, i * SIZE + 1), name, fill=(255, 255, 0), stroke_width=1, stroke_fill=(0, 0, 0))
    return picture


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", help="PNG to write")
    parser.add_argument("--classes", nargs="+", default=list(CLASSES), metavar="NAME")
    parser.add_argument("--clips", type=int, default=2, help="rows per class (default: 2)")
    parser.add_argument("--frames", type=int, default=8, help="frames per row (default: 8)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="still camera, no noise")
    parser.add_argument("--zoom", type=int, default=1)
    chosen = parser.parse_args()
    unknown = [name for name in chosen.classes if name not in CLASSES]
    if unknown:
        parser.error(f"no class is called {unknown[0]!r}; there are: {', '.join(CLASSES)}")
    labels = [CLASSES.index(name) for name in chosen.classes]
    picture = sheet(
        labels, seed=chosen.seed, clips=chosen.clips, frames=chosen.frames, plain=chosen.plain
    )
    size = (picture.width * chosen.zoom, picture.height * chosen.zoom)
    picture.resize(size, Image.Resampling.NEAREST).save(chosen.output)


if __name__ == "__main__":
    main()
