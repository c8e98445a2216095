"""What every network of the hub is: trainable, with a head that can be replaced, and able to save
and publish itself.

A subclass writes one method, :meth:`VideoNetwork.run`: the network from top to bottom, yielding
each stage as soon as it is computed. What it needs to read videos it inherits from
``extraction/``.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from ..base import hooks
from ..base.places import hub_endpoint
from ..extraction.engines import inference_form
from ..extraction.feature_extractor import FeatureExtractor
from ..extraction.options import ComputeOptions
from .blocks import Blocks
from .model_card import model_card
from .saving import write_pretrained

Self = TypeVar("Self", bound="VideoNetwork")


class VideoNetwork(FeatureExtractor):
    """A network of the hub: an ordinary module with timm's habits.

    Parameters
    ----------
    config: the model's description. It stays readable as ``config`` and follows
        :meth:`reset_classifier`.
    """

    head_name: ClassVar[str] = "fc"

    def _make_form(self, compute: ComputeOptions) -> FeatureExtractor:
        return inference_form(self, compute)

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

    def save_pretrained(self, save_directory: str | Path) -> Path:
        """Write ``model.safetensors`` and ``config.json`` into a folder and return the folder.

        ``c3dhub.load(folder)`` gives the network back. Both files appear whole or not at all.
        Raises CheckpointError where the folder cannot be written, ValueError for an inference form.
        """
        if self.inference_precision is not None:
            raise ValueError(
                f"this is the inference form in {self.inference_precision}: its BatchNorm is "
                "folded away and it cannot be saved; load the model without precision and save that"
            )
        folder = Path(save_directory)
        metadata = {"model": self.config.name}
        write_pretrained(self.state_dict(), self.config, folder, metadata=metadata)
        return folder

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
        network: Any = hooks.from_pretrained(
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
        # late: slow to import, and most networks are never pushed
        from huggingface_hub import HfApi

        api = HfApi(endpoint=hub_endpoint(), token=token)
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.save_pretrained(Path(temporary) / "model")
            model_card(self, repo_id).save(folder / "README.md")
            # Only now, so that a network that cannot be saved leaves no empty repository behind.
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                commit_message=commit_message,
                revision=revision,
                create_pr=create_pr,
            )
        return str(commit)
