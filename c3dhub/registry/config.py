"""What a network needs beside its weights: how it is built and what its input must look like.

Standard library only, so that listing models never imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..base.errors import CheckpointError
from .json_fields import check, read

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"

ResizeMode = Literal["exact", "short_side"]
_SIZES = {"exact": 2, "short_side": 1}  # numbers in resize_size


@dataclass(frozen=True)
class InputContract:
    """How uint8 RGB frames become the numbers that a network was trained on.

    A pixel ``p`` in 0..255 of channel ``c`` becomes ``(p * max_value / 255 - mean[c]) / std[c]``.

    Parameters
    ----------
    max_value: what a white pixel is worth before the mean is taken off: 255.0 or 1.0.
    mean, std: one number per RGB channel, on the scale of ``max_value``.
    resize_mode: ``"short_side"`` scales the short side to ``resize_size[0]`` and the long side to
        ``int(resize_size[0] * long / short)``; ``"exact"`` scales to ``resize_size`` = (H, W)
        whatever the shape of the frame.
    resize_size: pixels, one number or (H, W).
    antialias: bilinear as PIL computes it (True) or as a plain two-tap filter (False).
    crop_size: side in pixels of the centre crop, offset ``int(round((size - crop_size) / 2))``.

    Example: with the 2018 contract a 480x360 video is scaled to 149x112, then columns 18 to 129
    are kept.
    """

    max_value: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize_mode: ResizeMode
    resize_size: tuple[int, ...]
    antialias: bool
    crop_size: int = 112

    def __post_init__(self) -> None:
        check(self, "resize_mode")
        if len(self.resize_size) != _SIZES[self.resize_mode]:
            raise ValueError(
                f"resize_size is {self.resize_size}; {self.resize_mode!r} takes "
                f"{_SIZES[self.resize_mode]} number(s) of pixels"
            )
        if min(self.resize_size) < self.crop_size or self.crop_size < 1:
            raise ValueError(
                f"crop_size is {self.crop_size} and resize_size {self.resize_size}; the crop must "
                "be at least 1 pixel and fit into the resized frame"
            )
        if len(self.mean) != len(self.std) or not all(s > 0 for s in self.std):
            raise ValueError(
                f"mean is {self.mean} and std {self.std}; both need one number per channel, and "
                "each std must be above 0"
            )


@dataclass(frozen=True)
class ModelConfig:
    """Everything that ``config.json`` holds: enough to rebuild a network without the manifest.

    Parameters
    ----------
    name: the model's name, e.g. ``"resnet50_kinetics"``; the architecture's for a fresh network.
    architecture: a key of ``c3dhub.networks.ARCHITECTURES``, e.g. ``"resnet50"``.
    num_classes: length of the logits.
    clip_len: frames of a clip that the network was trained with; others work too.
    input: the input contract.
    in_channels: channels of a clip, 3 for RGB.
    options: the architecture's own options where they differ from its defaults, e.g.
        ``{"shortcut": "A"}``.
    classes: class names in the order of the logits, None where they are unknown.
    provenance: what the weights were made from, for people: plain values, ready for JSON; None
        where there is nothing to say. :func:`c3dhub.finetune` notes model, recipe and data.
    """

    name: str
    architecture: str
    num_classes: int
    clip_len: int
    input: InputContract
    in_channels: int = 3
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    provenance: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check(self, "num_classes", "clip_len", "in_channels")
        if self.classes is not None and len(self.classes) != self.num_classes:
            raise ValueError(
                f"classes has {len(self.classes)} names but num_classes is {self.num_classes}; "
                "give one name per class, or None"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, ready for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.provenance is None:
            del plain["provenance"]
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelConfig:
        """Rebuild a config from what :meth:`to_dict` gave, or raise CheckpointError."""
        try:
            return read(cls, data, "the model config")
        except ValueError as error:
            raise CheckpointError(
                f"this is not a c3dhub model config: {error}; it must hold what "
                "ModelConfig.to_dict() gives"
            ) from error

    @classmethod
    def from_file(cls, path: Path) -> ModelConfig:
        """Read ``config.json``. Raises CheckpointError where it is missing or wrong."""
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, CheckpointError) as error:
            raise CheckpointError(f"{path}: cannot read the model config: {error}") from error
