"""What every network of the hub shares: its stages, its head, its memory.

A subclass writes one method, :meth:`VideoNetwork.run`: the network from top to bottom, yielding
each stage as soon as it is computed. Everything else is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ..base.errors import UnknownStageError, near_matches
from ..registry.config import ModelConfig
from .network import HubMethods


class VideoNetwork(HubMethods):
    """A network that turns clips into one map per stage, pooled features and logits.

    Parameters
    ----------
    config: the model's description. It stays readable as ``config`` and follows
        :meth:`reset_classifier`.
    """

    stage_names: ClassVar[tuple[str, ...]] = ()
    head_name: ClassVar[str] = "fc"
    num_features: int  # length D of the pooled features

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def num_classes(self) -> int:
        """Length of the logits."""
        return self.config.num_classes

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names in the order of the logits, None where they are unknown."""
        return self.config.classes

    def run(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (name, value) of every stage, in the order of ``stage_names``."""
        raise NotImplementedError

    def forward(self, clips: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of clips (N, C, T, H, W).

        Any number of frames and any height and width from 1 up can be computed; 8 frames and 64
        pixels are about the least that mean something, 112 pixels are what the hub's networks
        were trained on.
        """
        return self.forward_stages(clips, ("logits",))["logits"]

    def forward_stages(self, clips: Tensor, stages: Sequence[str]) -> dict[str, Tensor]:
        """Return the asked-for stages, computing nothing behind the deepest of them.

        Parameters
        ----------
        clips: floating point (N, C, T, H, W), as ``config.input`` has it.
        stages: names out of ``stage_names``, in any order.

        Returns
        -------
        The stages in the order asked for: maps (N, C', T', H', W'), ``"avgpool"`` (N, D) and
        ``"logits"`` (N, num_classes).

        Raises ValueError for an unknown stage, for none and for clips of another shape.
        """
        self.check_stages(stages)
        self._check_clips(clips)
        if self.inference_precision is not None:
            clips = clips.to(self.dtype)  # so that what model.transforms gives goes in as it is
        found: dict[str, Tensor] = {}
        wanted = len(set(stages))
        for name, value in self.run(clips):
            if name in stages:
                found[name] = value
            if len(found) == wanted:
                break
        return {name: found[name] for name in stages}

    def get_classifier(self) -> nn.Module:
        """Return the head: the linear layer from the pooled features to the logits."""
        return self.get_submodule(self.head_name)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the head by a fresh one for ``num_classes`` classes, whose names are unknown."""
        self.config = replace(self.config, num_classes=num_classes, classes=None)
        self.set_origin(None)
        *_, last = self.parameters()  # the head's own, or the last one before a head without any
        head = nn.Linear(self.num_features, num_classes, device=last.device, dtype=last.dtype)
        setattr(self, self.head_name, head.train(self.training))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only each block's input for the backward pass and compute the rest again there."""
        for module in self.modules():
            if isinstance(module, Blocks):
                module.grad_checkpointing = enable

    def check_stages(self, stages: Sequence[str]) -> None:
        """Raise UnknownStageError or TypeError unless ``stages`` names stages of this network."""
        if isinstance(stages, str):
            raise TypeError(f"stages is {stages!r}; give a sequence of names: ({stages!r},)")
        if not stages:
            raise ValueError(f"stages is empty; name at least one of {self.stage_names}")
        for name in stages:
            if name not in self.stage_names:
                raise UnknownStageError(
                    f"stage {name!r} is unknown; {self.config.architecture} has "
                    f"{', '.join(self.stage_names)}.{near_matches(name, self.stage_names)}"
                )

    def _check_clips(self, clips: Tensor) -> None:
        channels = self.config.in_channels
        if not isinstance(clips, Tensor):
            raise TypeError(f"clips are a {type(clips).__name__}; they must be a torch tensor")
        if clips.dim() != 5 or clips.shape[1] != channels or min(clips.shape[2:]) < 1:
            raise ValueError(
                f"clips have shape {tuple(clips.shape)}; they must be (N, {channels}, T, H, W) "
                "with at least 1 frame of 1x1 pixels. A single clip becomes a batch by clip[None]"
            )
        if not clips.is_floating_point():
            raise TypeError(f"clips are {clips.dtype}; they must be floating point, e.g. float32")


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
