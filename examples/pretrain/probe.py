"""What a network is worth on your own footage: a linear probe, each group left out once.

python examples/pretrain/probe.py VIDEOS --checkpoint runs/figures/last.pt \\
    --names '.*_(?P<group>\\d+)_(?P<label>\\d+)'

Each video of the folder is named by a rule that gives its label and its group: who or where was
filmed, so that no group is trained and tested on at once. Beside the checkpoint stand the same
network with random weights, whose BatchNorm statistics are taken from the footage; pixels pooled to
4x4x4; and a classifier that sees nothing but frame size and length. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figures import CLASSES
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import c3dhub
from c3dhub.clips.reading import read_clips
from c3dhub.clips.rule import ClipRule
from c3dhub.networks import VideoNetwork
from c3dhub.video import open_video

_SUFFIXES = {".avi", ".mp4", ".mkv", ".mov", ".webm", ".mpg", ".mpeg"}
_STAGES = ("layer1", "layer2", "layer3", "layer4")
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Footage:
    """The clips of one video and what its name says.

    Parameters
    ----------
    clips: uint8 (N, 16, 112, 112, 3).
    label, group: from the name.
    size: (height, width, frames) of the video.
    """

    clips: Tensor
    label: str
    group: str
    size: tuple[int, int, int]


def read_folder(
    folder: Path, network: VideoNetwork, *, names: str, frame_stride: int, clip_stride: int
) -> list[Footage]:
    """Return the videos of a folder as the network is fed with them.

    Raises ValueError where a name does not follow the rule, or no video is there.
    """
    rule = ClipRule(clip_len=16, clip_stride=clip_stride, frame_stride=frame_stride)
    found = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES):
        match = re.fullmatch(names, path.stem)
        if match is None:
            raise ValueError(f"{path.name} does not follow --names {names!r}; change the rule")
        with open_video(path) as video:
            shapes = [frame.to_rgb().shape[:2] for frame in video]
        with open_video(path) as video:
            clips = [c.frames for c in read_clips(video, rule=rule, transform=network.transforms)]
        size = (*shapes[0], len(shapes))
        found.append(Footage(torch.stack(clips), match["label"], match["group"], size))
    if not found:
        raise ValueError(f"{folder} has no video ({', '.join(sorted(_SUFFIXES))})")
    return found


def load_network(checkpoint: Path) -> VideoNetwork:
    """Return the network of ``last.pt``, of a folder or of a name that c3dhub knows."""
    if checkpoint.suffix != ".pt":
        return c3dhub.load(str(checkpoint))
    state = torch.load(checkpoint, weights_only=True)
    recipe = state["recipe"]
    network = c3dhub.create_model(recipe["arch"], num_classes=len(CLASSES), width=recipe["width"])
    network.load_state_dict(state["model"])
    return network.eval()


def random_network(like: VideoNetwork, footage: Sequence[Footage], *, seed: int) -> VideoNetwork:
    """Return the same network with random weights and the footage's BatchNorm statistics."""
    torch.manual_seed(seed)
    config = like.config
    options = {k: v for k, v in config.options.items() if k in ("width", "shortcut")}
    network = c3dhub.create_model(config.architecture, num_classes=config.num_classes, **options)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean over all batches
    with torch.no_grad():
        for video in footage:
            network(network.transforms.normalize(video.clips[:8].to(network.device)))
    return network.eval()


@torch.no_grad()
def stage_features(network: VideoNetwork, footage: Sequence[Footage]) -> dict[str, Rows]:
    """Return (videos, 2 C) per stage: mean and maximum over clips, after pooling each clip."""
    rows: dict[str, list[Tensor]] = {}
    stages = [stage for stage in _STAGES if stage in network.stage_names]
    for video in footage:
        parts: dict[str, list[Tensor]] = {}
        for chunk in torch.split(video.clips, 8):
            clips = network.transforms.normalize(chunk.to(network.device)).to(network.dtype)
            for name, value in network.forward_stages(clips, stages).items():
                parts.setdefault(name, []).append(value.float().mean((2, 3, 4)).cpu())
        for name, values in parts.items():
            rows.setdefault(name, []).append(_over_clips(torch.cat(values)))
    found = {name: torch.stack(values).numpy() for name, values in rows.items()}
    last = stages[-2:]
    return found | {"+".join(last): np.concatenate([found[name] for name in last], axis=1)}


def pixel_features(footage: Sequence[Footage]) -> Rows:
    """Return (videos, 384): pixels pooled to 4x4x4 in three colours, over clips as the stages."""
    rows = []
    for video in footage:
        clips = video.clips.permute(0, 4, 1, 2, 3).float()
        rows.append(_over_clips(F.adaptive_avg_pool3d(clips, 4).flatten(1)))
    return torch.stack(rows).numpy()


def size_features(footage: Sequence[Footage]) -> Rows:
    """Return (videos, 4): aspect ratio, height, width and number of frames."""
    sizes = np.array([video.size for video in footage], dtype=np.float32)
    return np.column_stack([sizes[:, 1] / sizes[:, 0], sizes]).astype(np.float32)


def _over_clips(rows: Tensor) -> Tensor:
    return torch.cat([rows.mean(0), rows.amax(0)])


def accuracy(rows: Rows, footage: Sequence[Footage], folds: Sequence[Sequence[str]]) -> float:
    """Return the share of videos that are right when their fold of groups is left out."""
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

    labels = np.array([video.label for video in footage])
    fold = {group: i for i, groups in enumerate(folds) for group in groups}
    parts = np.array([fold[video.group] for video in footage])
    guess = cross_val_predict(classifier(), rows, labels, groups=parts, cv=LeaveOneGroupOut())
    return float((guess == labels).mean())


def classifier() -> Any:
    """Return scikit-learn's logistic regression behind a scaler; C by cross-validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    grid = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]}
    return GridSearchCV(steps, grid, cv=4)


def table(
    network: VideoNetwork, footage: Sequence[Footage], *, seeds: int, folds: Sequence[Sequence[str]]
) -> Mapping[str, float]:
    """Return accuracy (0 to 1) for each kind of features."""
    found = {
        f"checkpoint, {name}": accuracy(rows, footage, folds)
        for name, rows in stage_features(network, footage).items()
    }
    several: dict[str, list[float]] = {}
    for seed in range(seeds):
        random = random_network(network, footage, seed=seed)
        for name, rows in stage_features(random, footage).items():
            several.setdefault(name, []).append(accuracy(rows, footage, folds))
    found |= {f"random weights, {name}": float(np.mean(v)) for name, v in several.items()}
    found["pixels pooled to 4x4x4"] = accuracy(pixel_features(footage), footage, folds)
    found["frame size and length"] = accuracy(size_features(footage), footage, folds)
    return found


def make_folds(groups: Sequence[str], parts: Sequence[str]) -> list[list[str]]:
    """Return the groups that are left out together: each alone, or as ``parts`` ("1,2", ...) says.

    Raises ValueError unless the parts hold every group once.
    """
    if not parts:
        return [[group] for group in sorted(set(groups))]
    folds = [part.split(",") for part in parts]
    named = sorted(group for fold in folds for group in fold)
    if named != sorted(set(groups)):
        raise ValueError(f"--parts name {named}, but the groups are {sorted(set(groups))}")
    return folds


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of videos")
    parser.add_argument("--checkpoint", type=Path, required=True, help="last.pt or a model folder")
    parser.add_argument("--names", default=r"(?P<group>[^_]+)_(?P<label>[^_]+).*",
                        help="regular expression for file names, with label and group")  # fmt: skip
    parser.add_argument("--frame-stride", type=int, default=2)
    parser.add_argument("--clip-stride", type=int, default=8)
    parser.add_argument("--parts", nargs="*", default=[], metavar="1,2,3",
                        help="groups to leave out together (default: each alone)")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=3, help="random networks to average (3)")
    chosen = parser.parse_args()
    try:
        run(chosen)
    except (c3dhub.C3DHubError, OSError, ValueError, re.error) as error:
        parser.error(str(error))


def run(chosen: argparse.Namespace) -> None:
    """Probe as the command line says."""
    if not {"label", "group"} <= set(re.compile(chosen.names).groupindex):
        raise ValueError(f"--names {chosen.names!r} must have (?P<label>...) and (?P<group>...)")
    network = load_network(chosen.checkpoint)
    footage = read_folder(
        chosen.folder, network, names=chosen.names,
        frame_stride=chosen.frame_stride, clip_stride=chosen.clip_stride,
    )  # fmt: skip
    folds = make_folds([video.group for video in footage], chosen.parts)
    clips = sum(len(video.clips) for video in footage)
    print(f"{len(footage)} videos, {clips} clips, {len(folds)} folds")
    for name, value in table(network, footage, seeds=chosen.seeds, folds=folds).items():
        print(f"{value:7.1%}  {name}")


if __name__ == "__main__":
    main()
