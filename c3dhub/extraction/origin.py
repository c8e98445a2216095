"""Where the weights of a network come from, for as long as they are still those of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn


class WithOrigin(nn.Module):
    """A module that knows the file of its weights and notices every change of them."""

    def __init__(self) -> None:
        super().__init__()
        self._origin: Callable[[], str] | None = None
        self._origin_versions = 0

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

    def state_digest(self) -> str:
        """Return a hash of all parameters and buffers: their shapes, dtypes and values."""
        return tensors_digest([tensor for _, tensor in sorted(self.state_dict().items())])

    def set_origin(self, sha256: Callable[[], str] | None) -> None:
        """Note the file that the weights, as they are now, come from; ``sha256`` gives its hash."""
        self._origin = sha256
        self._origin_versions = self._versions()

    def share_origin(self, other: WithOrigin) -> None:
        """Note the same file as ``other`` does, whose weights these are in another form."""
        unchanged = other._versions() == other._origin_versions
        self.set_origin(other._origin if unchanged else None)

    def _versions(self) -> int:
        state: list[tuple[int, object]] = []
        for module in self.modules():
            for place in (module._parameters, module._buffers):
                tensors = (t for t in place.values() if t is not None)
                # Tensors made in torch.inference_mode count no versions, and cannot be changed.
                state.extend((0 if t.is_inference() else t._version, t.dtype) for t in tensors)
        return hash(tuple(state))

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles: a changed network leaves its origin behind."""
        unchanged = self._versions() == self._origin_versions
        return {**self.__dict__, "_origin": self._origin if unchanged else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._origin_versions = self._versions()  # tensors begin to count anew in a copy


def tensors_digest(tensors: Sequence[torch.Tensor]) -> str:
    """Return a hash of shapes, dtypes and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        array = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        digest.update(array.data)
    return digest.hexdigest()
