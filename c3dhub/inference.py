"""The inference form of a network: the same function, prepared once, faster, not trainable.

BatchNorm is folded into the convolution before it, tensors lie in ``channels_last_3d``, weights
have the dtype of the precision. The plain network stays as it is.
"""

from __future__ import annotations

import copy
import weakref
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .architectures import VideoNetwork

Precision = Literal["float32", "bfloat16", "float16", "int8", "auto"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# network -> precision -> (state version, inference form); gone when the network is.
_prepared: weakref.WeakKeyDictionary[VideoNetwork, dict[str, tuple[int, VideoNetwork]]]
_prepared = weakref.WeakKeyDictionary()


def inference_form(network: VideoNetwork, *, precision: Precision | None = None) -> VideoNetwork:
    """Return the inference form of ``network``, made on the first call and kept with it.

    Parameters
    ----------
    network: stays untouched. An inference form is returned as it is when ``precision`` is None.
    precision: ``"float32"`` (default) stays within 1e-5 of the plain network; ``"bfloat16"``;
        ``"float16"`` on CUDA and MPS only; ``"auto"``: bfloat16 where the hardware computes it
        natively, else float32.

    Raises ValueError for a precision that this device or installation cannot serve.
    """
    if network.inference_precision is not None:
        if precision not in (None, "auto", network.inference_precision):
            raise ValueError(
                f"precision is {precision!r} but this network was prepared for "
                f"{network.inference_precision!r}; load it again with the precision you want"
            )
        return network
    device = network.device
    name = resolve_precision(precision or "float32", device)
    forms = _prepared.setdefault(network, {})
    key = f"{name} on {device}"
    version, form = forms.get(key, (-1, None))
    if form is None or version != network.state_version:
        form = _prepare(network, name)
        forms[key] = network.state_version, form
    return form


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return the dtype name that ``precision`` means on ``device``, or raise ValueError."""
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise ValueError(f"precision is {precision!r}; it must be one of {known}")
    if precision == "auto":
        return "bfloat16" if _native_bfloat16(device) else "float32"
    if precision == "int8":
        raise ValueError(
            "precision is 'int8', which this version cannot compute yet; 'bfloat16' and 'float32' "
            "work on every device"
        )
    if precision == "float16" and device.type == "cpu":
        raise ValueError(
            "precision is 'float16', which CPUs compute slowly and inexactly; use 'bfloat16' or "
            "'float32' here, 'float16' on a GPU"
        )
    return precision


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


@torch.inference_mode(False)  # what is made here outlives the caller's block
def _prepare(network: VideoNetwork, precision: str) -> VideoNetwork:
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
