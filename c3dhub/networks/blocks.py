"""The blocks of a stage: computed once, or again in the backward pass to save memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class Blocks(nn.Sequential):
    """The blocks of one stage; with ``grad_checkpointing`` each is computed again backwards."""

    grad_checkpointing = False

    def forward(self, x: Tensor) -> Tensor:
        for block in self:
            if not (self.grad_checkpointing and torch.is_grad_enabled()):
                x = block(x)
            elif torch.compiler.is_compiling():  # takes no contexts; updates the averages once
                x = checkpoint(block, x, use_reentrant=False)
            else:
                contexts = partial(_recompute_contexts, block)
                x = checkpoint(block, x, use_reentrant=False, context_fn=contexts)
        return x


def _recompute_contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _running_averages_kept(block)


@contextmanager
def _running_averages_kept(block: nn.Module) -> Iterator[None]:
    """Computing a block again must not move its BatchNorm averages and counts a second time."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
