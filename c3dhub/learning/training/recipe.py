"""How a network is trained: every number that its final weights depend on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ...base.checks import check_choice
from ..datasets.augmentation import Augmentation

Schedule = Literal["plateau", "cosine", "constant"]
TrainingPrecision = Literal["float32", "bfloat16"]

FINE_TUNING_LR = 0.001
SCRATCH_LR = 0.1
MICRO_BATCH = 16
PAPER = Augmentation()


@dataclass(frozen=True)
class Recipe:
    """Everything, beside the videos and the first weights, that the final weights depend on.

    The defaults are those of Hara et al., CVPR 2018, section 3.2 and 4.1: conv5_x (``layer4``) and
    the classifier are trained by SGD on batches of 128 clips, the rate starts at 0.001 and is
    divided by 10 when the validation loss stops falling.

    Parameters
    ----------
    begin_at: the first stage that is trained; what comes before it stays as it is.
    scratch: begin from random weights instead of the model's.
    epochs: times that every video is seen, ``clips_per_video`` clips each time.
    lr: learning rate of the first step.
    schedule: ``"plateau"`` divides the rate by 10 when the validation loss has not improved for
        ``patience`` epochs; ``"cosine"`` lowers it to 0 in half a cosine; ``"constant"`` keeps it.
    patience: epochs, of ``"plateau"``.
    batch_size: clips per step of the optimizer.
    micro_batch: clips that go through the network together; gradients are summed up over a batch.
        BatchNorm of the trained layers normalises over a micro batch, so that it changes the
        result a little. It divides ``batch_size``.
    weight_decay, momentum: of SGD.
    label_smoothing: 0 up to, not including, 1.
    precision: ``"float32"``, or ``"bfloat16"`` under autocast (weights stay float32).
    seed: of the new head, the order of the videos and their augmentation.
    clip_len: frames of a clip.
    frame_stride: frames from one frame of a clip to the next.
    clips_per_video: clips that are cut from each video in an epoch.
    augmentation: the paper's multi-scale corner crops and flips; None takes the centre crop, and
        the random place in time alone is left.
    """

    begin_at: str = "layer4"
    scratch: bool = False
    epochs: int = 20
    lr: float = FINE_TUNING_LR
    schedule: Schedule = "plateau"
    patience: int = 10
    batch_size: int = 128
    micro_batch: int = MICRO_BATCH
    weight_decay: float = 1e-3
    momentum: float = 0.9
    label_smoothing: float = 0.0
    precision: TrainingPrecision = "float32"
    seed: int = 0
    clip_len: int = 16
    frame_stride: int = 1
    clips_per_video: int = 1
    augmentation: Augmentation | None = PAPER

    def __post_init__(self) -> None:
        whole = ("epochs", "patience", "batch_size", "micro_batch", "clip_len", "frame_stride")
        for name in (*whole, "clips_per_video"):
            check_whole(name, getattr(self, name), least=1)
        check_whole("seed", self.seed, least=0)
        _check_number("lr", self.lr, "above 0", self.lr > 0)
        _check_number("weight_decay", self.weight_decay, "0 or more", self.weight_decay >= 0)
        for name in ("momentum", "label_smoothing"):
            value = getattr(self, name)
            _check_number(name, value, "at least 0 and below 1", 0 <= value < 1)
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_choice("precision", self.precision, get_args(TrainingPrecision))
        if self.batch_size % self.micro_batch:
            raise ValueError(
                f"micro_batch is {self.micro_batch} and batch_size {self.batch_size}; a batch is "
                "made of whole micro batches: choose a divisor of batch_size"
            )

    @property
    def micro_batches(self) -> int:
        """Micro batches per step of the optimizer."""
        return self.batch_size // self.micro_batch


def default_micro_batch(batch_size: int) -> int:
    """Return the largest divisor of ``batch_size`` that is at most 16.

    Example: 16 for 128, 5 for 5, 10 for 50.
    """
    return max(n for n in range(1, MICRO_BATCH + 1) if batch_size % n == 0)


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """Return ``"lr is 0.1 there and 0.01 now"`` for every setting that is not the same in both."""
    found = []
    for name in dict.fromkeys([*theirs, *ours]):
        there, now = theirs.get(name), ours.get(name)
        if isinstance(there, Mapping) and isinstance(now, Mapping):
            found += [f"{name} {text}" for text in differences(there, now)]
        elif there != now:
            found.append(f"{name} is {_shown(there)} there and {_shown(now)} now")
    return found


def _shown(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_whole(name: str, value: object, *, least: int) -> None:
    """Raise ValueError unless ``value`` is a whole number, ``least`` or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number, {least} or more")


def _check_number(name: str, value: float, rule: str, holds: bool) -> None:
    if not (holds and math.isfinite(value)):
        raise ValueError(f"{name} is {value!r}; it must be a number {rule}")
