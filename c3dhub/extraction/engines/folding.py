"""The inference form on torch: BatchNorm folded, ``channels_last_3d``, weights in one dtype."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..feature_extractor import FeatureExtractor

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@torch.inference_mode(False)  # what is made here outlives the caller's block
@torch.no_grad()
def fold(network: FeatureExtractor, precision: str) -> FeatureExtractor:
    """Return a frozen copy of ``network`` that computes the same, faster."""
    tensors = [*network.parameters(), *network.buffers()]
    # A copy of the modules alone: it shares its tensors with the network until they are replaced.
    form: FeatureExtractor = copy.deepcopy(
        network, {id(tensor): tensor for tensor in tensors}
    ).eval()
    for conv_name, norm_name in _foldable(network):
        conv, norm = form.get_submodule(conv_name), form.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv3d)
        assert isinstance(norm, nn.BatchNorm3d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
            norm.weight, norm.bias,
        )  # fmt: skip
        parent, _, name = norm_name.rpartition(".")
        setattr(form.get_submodule(parent), name, nn.Identity())  # set_submodule is torch 2.5's
    for module in form.modules():
        for name, parameter in module.named_parameters(recurse=False):
            own = _own(parameter, _DTYPES[precision])
            module.register_parameter(name, nn.Parameter(own, requires_grad=False))
        for name, buffer in module.named_buffers(recurse=False):
            module.register_buffer(name, _own(buffer, _DTYPES[precision]))
    form.become_form_of(network, precision=precision, engine="torch")
    return form


def _own(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a copy that shares nothing, in ``dtype`` unless it counts something."""
    own = torch.empty_like(
        tensor,
        dtype=dtype if tensor.is_floating_point() else tensor.dtype,
        memory_format=torch.channels_last_3d if tensor.ndim == 5 else torch.preserve_format,
        requires_grad=False,
    )
    return own.copy_(tensor.detach())


def _foldable(network: FeatureExtractor) -> list[tuple[str, str]]:
    """Return (convolution, BatchNorm) names where the second reads what the first just wrote.

    Found by watching one pass on the meta device, so that no architecture needs a list of its own.
    """
    shapes = {id(p): nn.Parameter(p.to("meta"), requires_grad=False) for p in network.parameters()}
    ghost = copy.deepcopy(network, {**shapes, **{id(b): b.to("meta") for b in network.buffers()}})
    names = {module: name for name, module in ghost.eval().named_modules()}
    written: dict[int, str] = {}
    pairs: list[tuple[str, str]] = []
    outputs: list[Tensor] = []  # kept alive, so that no id is used twice

    def watch(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv3d):
            outputs.append(output)
            written[id(output)] = names[module]
        elif isinstance(module, nn.BatchNorm3d) and id(inputs[0]) in written:
            pairs.append((written[id(inputs[0])], names[module]))

    for module in names:
        if isinstance(module, (nn.Conv3d, nn.BatchNorm3d)):
            module.register_forward_hook(watch)
    shape = (1, network.config.in_channels, 8, 64, 64)
    ghost(torch.empty(shape, device="meta", dtype=network.dtype))
    return pairs
