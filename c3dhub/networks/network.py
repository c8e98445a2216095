"""What a network of the hub can do beside computing: read videos, save itself, say its origin.

Thin on purpose: each method calls the module that does the work, imported when it is needed, so
that the networks themselves depend on nothing below them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from ..registry.config import ModelConfig

if TYPE_CHECKING:
    from ..clips.rule import Align, Preset, Tail
    from ..clips.transforms import ClipTransform
    from ..extraction.engines import Engine, Precision
    from ..extraction.features import Features
    from ..video import Decode, Errors, VideoSource

Self = TypeVar("Self", bound="HubMethods")


class HubMethods(nn.Module):
    """Base of :class:`VideoNetwork`: everything that is about files and videos."""

    config: ModelConfig

    def __init__(self) -> None:
        super().__init__()
        self._origin: Callable[[], str] | None = None
        self._origin_versions = 0
        self._precision: str | None = None
        self._engine: str | None = None

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
        from ..clips.transforms import ClipTransform

        return ClipTransform(self.config.input)

    def extract_features(
        self,
        video: VideoSource,
        *,
        stages: Sequence[str] = ("avgpool",),
        pool: bool = True,
        clip_len: int | None = None,
        clip_stride: int | None = None,
        frame_stride: int = 1,
        fps: float | None = None,
        start: float | None = None,
        end: float | None = None,
        tail: Tail = "loop",
        align: Align = "start",
        preset: Preset = "sliding",
        batch_size: int | None = None,
        precision: Precision | None = None,
        engine: Engine | None = None,
        device: str | torch.device | None = None,
        errors: Errors = "raise",
        decode: Decode = "exact",
        progress: bool = False,
    ) -> Features:
        """Return the features of a video: :func:`c3dhub.extract_features` with this network."""
        from ..extract import extract_features

        return extract_features(
            video,
            model=self,  # type: ignore[arg-type]
            stages=stages,
            pool=pool,
            clip_len=clip_len,
            clip_stride=clip_stride,
            frame_stride=frame_stride,
            fps=fps,
            start=start,
            end=end,
            tail=tail,
            align=align,
            preset=preset,
            batch_size=batch_size,
            precision=precision,
            engine=engine,
            device=device,
            errors=errors,
            decode=decode,
            progress=progress,
        )

    def save_pretrained(self, save_directory: str | Path) -> Path:
        """Write ``model.safetensors`` and ``config.json`` into a folder and return the folder.

        ``c3dhub.load(folder)`` gives the network back. Both files appear whole or not at all.
        Raises CheckpointError where the folder cannot be written, ValueError for an inference form.
        """
        from .publishing import save_pretrained

        return save_pretrained(self, save_directory)  # type: ignore[arg-type]

    @classmethod
    def from_pretrained(
        cls: type[Self],
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        device: str | torch.device | None = None,
    ) -> Self:
        """Return a frozen network from a folder, a model's name or a Hub repository ``org/repo``.

        Loading is strict. Raises what :func:`c3dhub.load` raises, and TypeError where the network
        is of another class than this one.
        """
        from ..hub import from_pretrained

        network: Any = from_pretrained(
            pretrained_model_name_or_path,
            revision=revision,
            local_files_only=local_files_only,
            device=device,
        )
        if not isinstance(network, cls):
            raise TypeError(
                f"{pretrained_model_name_or_path} holds a {type(network).__name__}, not a "
                f"{cls.__name__}; use {type(network).__name__}.from_pretrained or c3dhub.load"
            )
        return network

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Add c3dhub model",
        private: bool | None = None,
        token: str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Upload weights, config and a model card to the Hub and return the commit's URL.

        The repository is created where it does not exist. ``revision`` is the branch, ``main`` by
        default. Raises huggingface_hub's errors.
        """
        from .publishing import push_to_hub

        return push_to_hub(
            self,  # type: ignore[arg-type]
            repo_id,
            commit_message=commit_message,
            private=private,
            token=token,
            revision=revision,
            create_pr=create_pr,
        )

    @property
    def weights_sha256(self) -> str | None:
        """Hash of the weight file; None once the weights differ from it, or if there is none."""
        if self._origin is None or self._versions() != self._origin_versions:
            return None
        return self._origin()

    @property
    def state_version(self) -> int:
        """A number that changes whenever a parameter or buffer is written or replaced.

        Example: training, ``load_state_dict``, ``half`` and ``reset_classifier`` change it. It
        holds for this object in this process only.
        """
        return hash((self._versions(), tuple(id(p) for p in self.parameters())))

    def _versions(self) -> int:
        state: list[tuple[int, object]] = []
        for module in self.modules():
            for place in (module._parameters, module._buffers):
                tensors = (t for t in place.values() if t is not None)
                # Tensors made in torch.inference_mode count no versions, and cannot be changed.
                state.extend((0 if t.is_inference() else t._version, t.dtype) for t in tensors)
        return hash(tuple(state))

    @property
    def inference_precision(self) -> str | None:
        """``"bfloat16"`` or the like for an inference form, None for the plain network."""
        return self._precision

    @property
    def inference_engine(self) -> str | None:
        """``"torch"`` or ``"openvino"`` for an inference form, None for the plain network."""
        return self._engine

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles: a changed network leaves its origin behind."""
        unchanged = self._versions() == self._origin_versions
        return {**self.__dict__, "_origin": self._origin if unchanged else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._origin_versions = self._versions()  # tensors begin to count anew in a copy

    def set_origin(self, sha256: Callable[[], str] | None) -> None:
        """Note the file that the weights, as they are now, come from; ``sha256`` gives its hash."""
        self._origin = sha256
        self._origin_versions = self._versions()

    def inherit_origin(self, plain: HubMethods, *, precision: str, engine: str = "torch") -> None:
        """Become the inference form of ``plain``: another dtype, but still the same model."""
        unchanged = plain._versions() == plain._origin_versions
        self.set_origin(plain._origin if unchanged else None)
        self._precision, self._engine = precision, engine
