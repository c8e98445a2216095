"""The paper's experiment in small: what pretraining is worth where labels are few.

    python examples/retrace.py                       # 5 and 20 labelled videos of each class
    python examples/retrace.py --seeds 3 --json retrace.json
    python examples/retrace.py --quick               # does it run? (its figures mean nothing)

Hara, Kataoka, Satoh (CVPR 2018, arXiv:1711.09577, section 4.3) train ResNet-18 on UCF-101 from
scratch (42.4 %) and fine-tune it after Kinetics (84.4 %). Here the small bundled model, pretrained
on rendered figures, meets the hand-drawn ones of ``target.py``: other pictures, other classes. The
same test videos for all:

- scratch: random weights, all layers trained;
- frozen probe: logistic regression on the pretrained network's pooled features;
- layer4 + fc: fine-tuned from conv5_x on, the paper's way;
- all layers: fine-tuned from the stem on;
- pixels: logistic regression on the frames pooled to 4x4x4, to see what needs no network at all.

Whatever is trained sees as many clips as written in ``WAYS``, scratch more than the others because
it needs them, and the rate falls to 0 by half a cosine. ``--choose-lr`` compares learning rates on
videos that are neither trained nor tested on, the same choice for all; the last training loss
stands in the JSON file, so that one sees who had not finished.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from target import CLASSES, write
from torch.nn import functional as F

import c3dhub
from c3dhub.learning.datasets import Augmentation
from c3dhub.learning.intervals import wilson_interval
from c3dhub.video import open_video

Precision = Literal["float32", "bfloat16"]

MODEL = "resnet18_figures"
TEST_SEED, CHOICE_SEED, TRAIN_SEED = 1, 2, 100  # of the drawings; seed n trains on 100 + n
RATES = (0.003, 0.01, 0.03, 0.1)
# The figures fill most of the frame: the paper's smaller crops would show a hand or a foot.
CROPS = Augmentation(scales=(1.0, 2**-0.25))


@dataclass(frozen=True)
class Way:
    """One way from labelled videos to a classifier.

    Parameters
    ----------
    name: as the table has it.
    begin_at: first stage that is fine-tuned; None is not fine-tuning.
    scratch: begin with random weights.
    lr: learning rate of the first step, then half a cosine to 0.
    clips: that are trained on, whatever the number of videos; 0 trains no network.
    """

    name: str
    begin_at: str | None = None
    scratch: bool = False
    lr: float = 0.0
    clips: int = 0

    @property
    def trains(self) -> bool:
        """Whether the network itself is trained."""
        return self.clips > 0


WAYS = (
    Way("pixels"),
    Way("scratch", scratch=True, lr=0.01, clips=6400),
    Way("frozen probe"),
    Way("layer4 + fc", begin_at="layer4", lr=0.03, clips=2400),
    Way("all layers", begin_at="stem", lr=0.01, clips=2400),
)


@dataclass(frozen=True)
class Outcome:
    """How one way fared: ``top1`` of ``n_test`` videos, after ``per_class`` videos of each class.

    ``train_loss`` is that of the last epoch, None where no network was trained.
    """

    way: str
    per_class: int
    seed: int
    top1: float
    n_test: int
    train_loss: float | None = None


def few(videos: c3dhub.VideoList, per_class: int) -> c3dhub.VideoList:
    """Return the first ``per_class`` videos of each class."""
    labels = np.array(videos.labels)
    rows = [np.flatnonzero(labels == label)[:per_class] for label in range(len(videos.classes))]
    return videos.pick(np.concatenate(rows).tolist())


def run(
    way: Way,
    train: c3dhub.VideoList,
    test: c3dhub.VideoList,
    *,
    seed: int = 0,
    precision: Precision = "float32",
    model: str = MODEL,
) -> Outcome:
    """Go one way from ``train`` to ``test``."""
    per_class = len(train) // len(train.classes)
    if way.trains:
        top1, loss = fine_tuned(way, train, test, seed=seed, precision=precision, model=model)
        return Outcome(way.name, per_class, seed, top1, len(test), loss)
    if way.name == "pixels":
        top1 = from_pixels(train, test)
    else:
        top1 = c3dhub.probe(train, test=test, model=model, cache=False).accuracy
    return Outcome(way.name, per_class, seed, top1, len(test))


def fine_tuned(
    way: Way,
    train: c3dhub.VideoList,
    test: c3dhub.VideoList,
    *,
    seed: int,
    precision: Precision,
    model: str,
) -> tuple[float, float]:
    """Return top-1 on ``test`` and the last training loss of a network trained on ``train``."""
    with tempfile.TemporaryDirectory() as folder:
        result = c3dhub.finetune(
            train,
            model=model,
            output=folder,
            hold_out=0,  # every label counts; nothing is chosen by looking at other videos
            begin_at=way.begin_at,
            scratch=way.scratch,
            epochs=max(1, way.clips // len(train)),
            lr=way.lr,
            schedule="cosine",
            batch_size=8,
            augmentation=CROPS,
            precision=precision,
            seed=seed,
            report=lambda line: None,
        )
        top1 = c3dhub.evaluate(test, model=result.load()).video.top1
    return top1, result.history[-1].train_loss


def from_pixels(train: c3dhub.VideoList, test: c3dhub.VideoList) -> float:
    """Return top-1 of logistic regression on (videos, 192): frames pooled to 4x4x4."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # The regularisation is chosen by cross-validation, as in the probe.
    steps = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    grid = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]}
    fitted = GridSearchCV(steps, grid, cv=min(5, *train.counts)).fit(_pixels(train), train.labels)
    return float(fitted.score(_pixels(test), test.labels))


def _pixels(videos: c3dhub.VideoList) -> NDArray[np.float32]:
    rows = []
    for item in videos.items:
        with open_video(item.path) as video:
            frames = torch.from_numpy(np.stack([frame.to_rgb() for frame in video]))
        clip = frames.permute(3, 0, 1, 2).float()  # (3, T, H, W)
        rows.append(F.adaptive_avg_pool3d(clip, 4).flatten().numpy())
    return np.stack(rows)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes in Markdown: the mean over seeds, with the interval of the test set."""
    lines = ["| videos a class | way | top-1 | 95 % interval | seeds |", "|---|---|---|---|---|"]
    for per_class, way in dict.fromkeys((each.per_class, each.way) for each in outcomes):
        found = [e for e in outcomes if (e.per_class, e.way) == (per_class, way)]
        top1 = float(np.mean([each.top1 for each in found]))
        low, high = wilson_interval(round(top1 * found[0].n_test), found[0].n_test)
        seeds = ", ".join(f"{each.top1:.1%}" for each in found)
        lines.append(f"| {per_class} | {way} | {top1:.1%} | {low:.1%} to {high:.1%} | {seeds} |")
    return "\n".join(lines)


def choose_rates(folder: Path, *, per_class: int, precision: Precision) -> None:
    """Print what each learning rate gives on videos that are neither trained nor tested on."""
    train = drawings(folder / "train-0", per_class=per_class, seed=TRAIN_SEED)
    other = drawings(folder / "choice", per_class=10, seed=CHOICE_SEED)
    for way in (way for way in WAYS if way.trains):
        for lr in RATES:
            found = run(replace(way, lr=lr), train, other, precision=precision)
            print(
                f"{way.name:12}  lr {lr:<6}  top-1 {found.top1:6.1%}  loss {found.train_loss:.3f}"
            )


def drawings(folder: Path, *, per_class: int, seed: int) -> c3dhub.VideoList:
    """Write the videos and return them as a dataset."""
    return c3dhub.read_dataset(write(folder, per_class=per_class, seed=seed))


def retrace(
    folder: Path,
    *,
    ways: Sequence[Way],
    counts: Sequence[int],
    n_seeds: int,
    test_per_class: int,
    precision: Precision,
) -> list[Outcome]:
    """Run every way with every number of labels and every seed; tell of each on stderr."""
    test = drawings(folder / "test", per_class=test_per_class, seed=TEST_SEED)
    outcomes = []
    for seed in range(n_seeds):
        pool = drawings(folder / f"train-{seed}", per_class=max(counts), seed=TRAIN_SEED + seed)
        for per_class in counts:
            for way in ways:
                found = run(way, few(pool, per_class), test, seed=seed, precision=precision)
                print(f"seed {seed}, {per_class} a class: {way.name} {found.top1:.1%}",
                      file=sys.stderr)  # fmt: skip
                outcomes.append(found)
    return sorted(outcomes, key=lambda each: counts.index(each.per_class))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=int, nargs="+", default=[5, 20], metavar="N",
                        help="labelled videos of each class (5 20)")  # fmt: skip
    parser.add_argument("--test", type=int, default=30, metavar="N",
                        help="test videos of each class (30)")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1, help="each with training videos of its own")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32",
                        help="of training (float32)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="2 videos a class, seen once")
    parser.add_argument("--choose-lr", action="store_true", help="compare learning rates instead")
    chosen = parser.parse_args()
    ways: Sequence[Way] = WAYS
    if chosen.quick:
        ways = [replace(way, clips=min(way.clips, 1)) for way in WAYS]
        chosen.labels, chosen.test, chosen.seeds = [2], 1, 1
    with tempfile.TemporaryDirectory() as folder:
        if chosen.choose_lr:
            choose_rates(Path(folder), per_class=chosen.labels[0], precision=chosen.precision)
            return
        outcomes = retrace(
            Path(folder), ways=ways, counts=chosen.labels, n_seeds=chosen.seeds,
            test_per_class=chosen.test, precision=chosen.precision,
        )  # fmt: skip
    print(table(outcomes))
    if chosen.json is not None:
        save(chosen.json, outcomes, ways, precision=chosen.precision)


def save(
    path: Path, outcomes: Sequence[Outcome], ways: Sequence[Way], *, precision: Precision
) -> None:
    """Write outcomes and settings as JSON."""
    plain: dict[str, Any] = {
        "model": MODEL,
        "classes": CLASSES,
        "precision": precision,
        "versions": {"c3dhub": c3dhub.__version__, "torch": torch.__version__},
        "ways": [asdict(way) for way in ways],
        "outcomes": [asdict(each) for each in outcomes],
    }
    path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
