"""bfloat16 for training, with float32 where the CPU's bfloat16 gradients are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from .recipe import TrainingPrecision


def wrong_in_bfloat16(kernel: tuple[int, ...], size: tuple[int, ...]) -> bool:
    """Return whether a convolution's weight gradient is not to be trusted in bfloat16 on CPUs.

    oneDNN, as torch 2.13 has it, computes it wrong by its own size, now and then as NaN, where the
    kernel is longer than its input, such as 3x3x3 over two frames (layer3 of 16-frame clips) or
    7x1x1 over four. 3x3x3 over one frame was found right and is most of layer4.

    Parameters
    ----------
    kernel, size: (T, H, W) of the kernel and of what goes in.
    """
    frames_alone = size[0] == 1 and kernel[0] == 3
    begin = 1 if frames_alone else 0
    return any(k > n for k, n in zip(kernel[begin:], size[begin:], strict=True))


@contextmanager
def training_precision(
    network: nn.Module, precision: TrainingPrecision, device: torch.device
) -> Iterator[None]:
    """Within the block :func:`autocast` spares the convolutions that need float32."""
    guarded = precision != "float32" and device.type == "cpu"
    convs = [m for m in network.modules() if isinstance(m, nn.Conv3d)] if guarded else []
    for conv in convs:
        conv.forward = partial(_guarded, conv)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for conv in convs:
            del conv.forward


def autocast(precision: TrainingPrecision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context for a forward pass."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _guarded(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """Convolve, in float32 where ``x`` is too small for bfloat16."""
    if not wrong_in_bfloat16(tuple(conv.kernel_size), tuple(x.shape[2:])):
        return type(conv).forward(conv, x)
    with torch.autocast("cpu", enabled=False):
        return type(conv).forward(conv, x.float())
