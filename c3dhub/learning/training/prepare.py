"""What a run begins with: the network with a head for the classes, and the lists of videos."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from ... import hub
from ...base.errors import DatasetError
from ...extraction.feature_extractor import FeatureExtractor
from ...networks import VideoNetwork, build
from ..datasets import VideoList, check_training, hold_out, list_subsets, read_dataset

Videos = VideoList | str | PathLike[str]

_DONE = "_finetuned"


@dataclass(frozen=True)
class Start:
    """The network that training begins with, on the CPU.

    Parameters
    ----------
    network: with a head for the classes.
    base: name and hash of the model that it comes from, for the settings of the run.
    """

    network: VideoNetwork
    base: dict[str, Any]


def prepare_videos(
    data: Videos, val: Videos | None, *, held_out: float, seed: int
) -> tuple[VideoList, VideoList | None]:
    """Return the lists to train on and to validate with, checked.

    Where ``val`` is None and ``data`` has no subset for it, the share ``held_out`` of ``data`` is
    set aside; 0 sets none aside. Raises DatasetError for lists that nothing can be learned from.
    """
    if not 0 <= held_out < 1:
        raise ValueError(f"hold_out is {held_out!r}; it must be a share, at least 0 and below 1")
    train = data if isinstance(data, VideoList) else training_part(data)
    if val is None and held_out and not isinstance(data, VideoList):
        val = validation_part(data, classes=train.classes, optional=True)
    if val is not None:
        if not isinstance(val, VideoList):
            val = validation_part(val, classes=train.classes)
    elif held_out:
        check_training(train)
        train, val = hold_out(train, fraction=held_out, seed=seed)
    check_training(train, val)
    return train, val


def training_part(
    path: str | PathLike[str], *, classes: Sequence[str] | str | None = None, **where: Any
) -> VideoList:
    """Return the videos of a dataset to train on: its subset ``"train"`` where it has subsets.

    ``where`` is layout, split and videos of :func:`c3dhub.read_dataset`, which raises the same
    errors.
    """
    known = list_subsets(path, **where)
    subset = _subset("train", known, path, purpose="train on", option="--subset")
    return read_dataset(path, subset=subset, classes=classes, **where)


def validation_part(
    path: str | PathLike[str], *, classes: Sequence[str], optional: bool = False, **where: Any
) -> VideoList | None:
    """Return the videos of a dataset to validate with: its subset ``"val"``, or all without any.

    With ``optional`` a dataset without that subset gives None. The subset ``"test"`` is never taken
    unasked: who chooses the best epoch by it has no test any more.
    """
    known = list_subsets(path, **where)
    if optional and "val" not in known:
        return None
    subset = _subset("val", known, path, purpose="validate with", option="--val-subset")
    return read_dataset(path, subset=subset, classes=classes, **where)


def _subset(
    wanted: str, known: Sequence[str], path: str | PathLike[str], *, purpose: str, option: str
) -> str | None:
    """Return ``wanted``, None where a dataset has no subsets. One that has others is refused."""
    if known and wanted not in known:
        raise DatasetError(
            f"{path}: its subsets are {', '.join(known)}, none of them {wanted!r}; name the one to "
            f"{purpose}: read_dataset(..., subset=...) ({option})"
        )
    return wanted if known else None


def prepare_network(
    model: str | Path | VideoNetwork,
    *,
    classes: Sequence[str],
    scratch: bool,
    seed: int,
    local_files_only: bool = False,
    progress: bool | None = None,
) -> Start:
    """Return a copy of a model with a head for ``classes``, or its architecture with fresh weights.

    A head whose class names are these already is kept; another one begins with random weights,
    which depend on ``seed`` alone. ``model`` itself is left as it is.

    Raises what :func:`c3dhub.load` does, and ValueError for a network that cannot be trained.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(model, FeatureExtractor):
            _check_trainable(model)
            given = copy.deepcopy(model).cpu()
        elif scratch and isinstance(model, str) and not Path(model).exists():
            given = hub.create_model(model, device="cpu")
        else:
            given = hub.load(
                model, device="cpu", local_files_only=local_files_only, progress=progress
            )
        # The hash is of the weights before the new head, so that it is the published file's.
        hashed = None if scratch else given.weights_sha256 or _digest(given)
        base = {"name": given.config.name, "architecture": given.config.architecture}
        torch.manual_seed(seed)
        network = _fresh(given, classes) if scratch else _with_head(given, classes)
    if network.config.in_channels != 3:
        raise ValueError(
            f"{network.config.name} takes {network.config.in_channels} channels, and videos have "
            "3; it can be trained with your own loop alone"
        )
    return Start(network.float(), {**base, "weights_sha256": hashed})


def describe(videos: VideoList | None) -> dict[str, Any] | None:
    """Return what makes a list the same one on resume; where its folder lies is no part of it."""
    if videos is None:
        return None
    digest = hashlib.sha256()
    for item in videos.items:
        place = (item.path.parent.name, item.path.name, item.label, item.start, item.end)
        digest.update(f"{place}\n".encode(errors="surrogateescape"))
    return {
        "videos": len(videos),
        "classes": list(videos.classes),
        "list_sha256": digest.hexdigest(),
    }


def _fresh(given: VideoNetwork, classes: Sequence[str]) -> VideoNetwork:
    name = f"{given.config.architecture}_scratch"
    config = replace(
        given.config, name=name, num_classes=len(classes), classes=tuple(classes), provenance=None
    )
    return build(config)


def _with_head(given: VideoNetwork, classes: Sequence[str]) -> VideoNetwork:
    if given.classes != tuple(classes):
        given.reset_classifier(len(classes))
    name = given.config.name.removesuffix(_DONE) + _DONE
    given.config = replace(given.config, name=name, classes=tuple(classes))
    return given


def _check_trainable(network: FeatureExtractor) -> None:
    if network.inference_precision is not None:
        raise ValueError(
            f"model is the inference form in {network.inference_precision}: its BatchNorm is "
            "folded away and it cannot be trained; load it without precision"
        )


def _digest(network: VideoNetwork) -> str:
    """Return a hash of the values of a network that comes from no file."""
    digest = hashlib.sha256()
    for _, tensor in sorted(network.state_dict().items()):
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(flat.numpy().data)
    return digest.hexdigest()
