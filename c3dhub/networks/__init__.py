"""The networks by name: ``build(config)`` gives one, ``ARCHITECTURES`` lists them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..base.errors import UnknownModelError, near_matches
from ..extraction.clip_network import ClipNetwork
from ..registry.config import ModelConfig
from .densenet import DenseNet
from .r2plus1d import R2Plus1D
from .resnet import ResNet
from .torchvision_resnet import TorchvisionResNet
from .video_network import VideoNetwork

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "VideoNetwork",
    "build",
    "count_flops",
    "stage_shapes",
]


@dataclass(frozen=True)
class Architecture:
    """How an architecture is built.

    Parameters
    ----------
    network: the class, called as ``network(config, **options)``.
    options: every option that a config may change, with its default.
    """

    network: Callable[..., VideoNetwork]
    options: Mapping[str, Any]


_BASIC = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
_DENSE = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32), 264: (6, 12, 64, 48)}


def _residual(depth: int, *, prefix: str = "") -> dict[str, Any]:
    """Return block, layers and width of a residual network."""
    if depth in _BASIC:
        return {"block": f"{prefix}basic", "layers": _BASIC[depth], "width": 64}
    return {"block": f"{prefix}bottleneck", "layers": _BOTTLENECK[depth], "width": 64}


def _bottleneck(depth: int, *, cardinality: int, group_width: int) -> Architecture:
    """Return a ResNet whose bottlenecks have groups of their own."""
    groups = {"cardinality": cardinality, "group_width": group_width}
    return Architecture(ResNet, {**_residual(depth), "shortcut": "B", **groups})


def _all_architectures() -> dict[str, Architecture]:
    known: dict[str, Architecture] = {}
    for depth in (*_BASIC, *_BOTTLENECK):
        first_release = "A" if depth in _BASIC else "B"
        plain, preact = _residual(depth), _residual(depth, prefix="preact_")
        known[f"resnet{depth}"] = Architecture(ResNet, {**plain, "shortcut": first_release})
        known[f"r3d{depth}"] = Architecture(ResNet, {**plain, "shortcut": "B"})
        known[f"preresnet{depth}"] = Architecture(ResNet, {**preact, "shortcut": first_release})
        known[f"r2p1d{depth}"] = Architecture(R2Plus1D, plain)
    for depth in (50, 101, 152):
        known[f"resnext{depth}"] = _bottleneck(depth, cardinality=32, group_width=4)
    known["wideresnet50"] = _bottleneck(50, cardinality=1, group_width=128)
    for depth, layers in _DENSE.items():
        known[f"densenet{depth}"] = Architecture(
            DenseNet, {"layers": layers, "growth": 32, "width": 64}
        )
    for name, convs in {
        "r3d_18": ("3d", "3d", "3d", "3d"),
        "mc3_18": ("3d", "2d", "2d", "2d"),
        "r2plus1d_18": ("2plus1d", "2plus1d", "2plus1d", "2plus1d"),
    }.items():
        options = {"convs": convs, "layers": (2, 2, 2, 2), "width": 64}
        known[name] = Architecture(TorchvisionResNet, options)
    return known


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(_all_architectures())


def build(config: ModelConfig) -> VideoNetwork:
    """Return the network of ``config`` with random weights, in training mode.

    It is made on the default device: ``with torch.device("meta"): build(config)`` takes no memory
    and computes nothing.

    Raises UnknownModelError for an unknown architecture and ValueError for options that it does
    not have or cannot take.
    """
    name = config.architecture
    if name not in ARCHITECTURES:
        raise UnknownModelError(
            f"architecture {name!r} is unknown; c3dhub.networks.ARCHITECTURES lists them."
            f"{near_matches(name, ARCHITECTURES)}"
        )
    spec = ARCHITECTURES[name]
    for option, value in config.options.items():
        _check_option(name, spec.options, option, value)
    return spec.network(config, **{**spec.options, **config.options})


def _check_option(name: str, known: Mapping[str, Any], option: str, value: object) -> None:
    if option not in known:
        raise ValueError(
            f"option {option!r} is unknown; {name} takes {', '.join(known)}."
            f"{near_matches(option, known)}"
        )
    default = known[option]
    if _kinds(value) != _kinds(default):
        raise ValueError(f"option {option} is {value!r}; {name} needs its like of {default!r}")


def _kinds(value: object) -> set[object]:
    """Return the types in a value; a tuple and JSON's list of the same things are alike."""
    if isinstance(value, list | tuple):
        return {"sequence", *(type(item) for item in value)}
    return {type(value)}


def stage_shapes(
    network: ClipNetwork, clip_len: int, size: int = 112
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each stage, (C, T, H, W) or (D,), for ``clip_len`` frames of size x size.

    Nothing is computed. Example: ``{"stem": (64, 8, 28, 28), ..., "avgpool": (512,), ...}``.
    """
    clips, twin = _on_meta(network, clip_len, size)
    maps = twin.forward_stages(clips, twin.stage_names)
    return {name: tuple(value.shape[1:]) for name, value in maps.items()}


def count_flops(network: ClipNetwork, clip_len: int, size: int = 112) -> int:
    """Return the floating point operations of one clip's convolutions and linear layers.

    A multiplication and its addition count as 2.
    """
    clips, twin = _on_meta(network, clip_len, size)
    with FlopCounterMode(display=False) as counter:
        twin(clips)
    total: int = counter.get_total_flops()
    return total


def _on_meta(network: ClipNetwork, clip_len: int, size: int) -> tuple[torch.Tensor, VideoNetwork]:
    with torch.device("meta"), torch.no_grad():
        clips = torch.empty(1, network.config.in_channels, clip_len, size, size)
        return clips, build(network.config).eval()
