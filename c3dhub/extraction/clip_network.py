"""What extraction needs of a network: clips in, stages out, whatever computes them.

Two things offer it: the networks of the hub, which torch computes (``networks/``), and their form
on OpenVINO (``engines/openvino_network.py``). Everything of :class:`ClipNetwork` but :meth:`run` is
written for torch; the form on OpenVINO has its own way to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.errors import UnknownStageError, near_matches
from ..clips.transforms import ClipTransform
from ..registry.config import ModelConfig
from .options import ComputeOptions
from .origin import WithOrigin

Rows = dict[str, NDArray[np.float32]]  # stage -> (N, ...)
Pending = Callable[[], Rows]


class ClipNetwork(WithOrigin):
    """A network that turns clips into one map per stage, pooled features and logits.

    Parameters
    ----------
    config: the model's description; stays readable as ``config``.
    """

    stage_names: ClassVar[tuple[str, ...]] = ()
    num_features: int  # length D of the pooled features
    inference_precision: str | None = None
    """``"bfloat16"`` or the like for an inference form, None for the plain network."""
    inference_engine: str | None = None
    """``"torch"`` or ``"openvino"`` for an inference form, None for the plain network."""

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

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights, and so the clips that go in, are made of."""
        return next(self.parameters()).dtype

    @property
    def transforms(self) -> ClipTransform:
        """The input contract as a callable: uint8 (T, H, W, 3) -> float32 (3, T, 112, 112)."""
        return ClipTransform(self.config.input)

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

    def start(self, frames: Tensor, *, stages: Sequence[str], pool: bool) -> Pending:
        """Begin with uint8 clips (N, T, H, W, 3); the function returned waits for the result.

        float32 (N, ...) per stage; ``pool`` takes maps to their mean over time and space. On CUDA
        and OpenVINO the caller goes on at once; torch on a CPU computes before it returns, with all
        cores. A batch for which memory runs out is tried again in halves.
        """
        try:
            return self._start(frames, stages=stages, pool=pool)
        except RuntimeError as error:
            if len(frames) == 1 or not _out_of_memory(error):
                raise
        halves = [self.start(half, stages=stages, pool=pool)() for half in frames.chunk(2)]
        return lambda: {name: np.concatenate([half[name] for half in halves]) for name in stages}

    def engine_details(self) -> Mapping[str, Any]:
        """Return what the provenance must say of the engine beside its name; torch: nothing."""
        return {}

    def identity(self) -> Any:
        """Return what tells these weights in this form from all others, ready for JSON."""
        return self.state_digest()

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

    def check_same_form(self, compute: ComputeOptions) -> None:
        """Raise ValueError where an inference form is asked to be another one."""
        have = {"precision": self.inference_precision, "engine": self.inference_engine}
        for what, known in have.items():
            wanted = getattr(compute, what)
            if wanted not in (None, "auto", known):
                raise ValueError(
                    f"{what} is {wanted!r} but this network was prepared for {known!r}; load it "
                    f"again with the {what} you want"
                )

    def become_form_of(self, plain: ClipNetwork, *, precision: str, engine: str) -> None:
        """Become the inference form of ``plain``: another dtype, but still the same model."""
        self.share_origin(plain)
        self.inference_precision, self.inference_engine = precision, engine

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

    def _start(self, frames: Tensor, *, stages: Sequence[str], pool: bool) -> Pending:
        device = self.device
        with torch.inference_mode():
            if device.type == "cuda":
                frames = frames.pin_memory()  # only from pinned memory the copy overlaps
            on_device = frames.to(device, non_blocking=True)  # a quarter of the bytes of float32
            clips = self.transforms.normalize(on_device, dtype=self.dtype)
            found = self.forward_stages(clips, stages)
            values = {name: _to_cpu(value, pool=pool) for name, value in found.items()}
        if device.type != "cuda":
            return lambda: {name: value.numpy() for name, value in values.items()}
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record(torch.cuda.current_stream(device))

        def result() -> Rows:
            copied.synchronize()
            return {name: value.numpy() for name, value in values.items()}

        return result


def _to_cpu(value: Tensor, *, pool: bool) -> Tensor:
    """Return float32 on the CPU; from CUDA the copy may still be under way."""
    value = value.float()
    if pool and value.ndim == 5:
        value = value.mean(dim=(2, 3, 4))  # (N, C, T', H', W') -> (N, C)
    value = value.contiguous()
    if value.device.type != "cuda":
        return value.cpu()
    host = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
    return host.copy_(value, non_blocking=True)


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
