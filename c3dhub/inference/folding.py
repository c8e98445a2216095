"""The inference form on torch: BatchNorm folded, ``channels_last_3d``, weights in one dtype."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..architectures import VideoNetwork

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@torch.inference_mode(False)  # what is made here outlives the caller's block
def fold(network: VideoNetwork, precision: str) -> VideoNetwork:
    """Return a frozen copy of ``network`` that computes the same, faster."""
    pairs = _foldable(network)
    form = copy.deepcopy(network).eval().requires_grad_(False)
    for conv_name, norm_name in pairs:
        conv, norm = form.get_submodule(conv_name), form.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv3d)
        assert isinstance(norm, nn.BatchNorm3d)
        form.set_submodule(conv_name, fuse_conv_bn_eval(conv, norm))
        form.set_submodule(norm_name, nn.Identity())
    form.to(dtype=_DTYPES[precision])
    # The overload for memory formats is missing from torch's type stubs.
    form.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    form.inherit_origin(network, precision=precision)
    return form


def _foldable(network: VideoNetwork) -> list[tuple[str, str]]:
    """Return (convolution, BatchNorm) names where the second reads what the first just wrote.

    Found by watching one pass on the meta device, so that no architecture needs a list of its own.
    """
    ghost = copy.deepcopy(network).to("meta").eval()
    names = {module: name for name, module in ghost.named_modules()}
    written: dict[int, str] = {}
    pairs: list[tuple[str, str]] = []
    outputs: list[Tensor] = []  # kept alive, so that no id is used twice

    def watch(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv3d):
            outputs.append(output)
            written[id(output)] = names[module]
        elif isinstance(module, nn.BatchNorm3d) and id(inputs[0]) in written:
            pairs.append((written[id(inputs[0])], names[module]))

    for module in ghost.modules():
        if isinstance(module, (nn.Conv3d, nn.BatchNorm3d)):
            module.register_forward_hook(watch)
    shape = (1, network.config.in_channels, 8, 64, 64)
    with torch.no_grad():
        ghost(torch.empty(shape, device="meta", dtype=network.dtype))
    return pairs
