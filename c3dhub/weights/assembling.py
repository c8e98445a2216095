"""A weight file and a config -> a network, in little more time than it takes to read the file."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ..base.errors import CheckpointError
from ..networks import VideoNetwork, build
from ..registry.config import ModelConfig
from . import LocalWeights

_MOST_NAMED = 5
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}


def assemble(config: ModelConfig, weights: LocalWeights, *, device: torch.device) -> VideoNetwork:
    """Return the frozen network of ``config`` in eval mode with the tensors of a file.

    It is built on the meta device, so that no weight is initialised in vain. Weights stored as
    float16 or bfloat16 become float32. Raises CheckpointError unless file and network have the same
    keys with the same shapes.
    """
    with _collection_paused():
        with torch.device("meta"):
            network = build(config).eval()
        try:
            state = _widened(_read(weights.path, device))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{weights.path}: cannot read it as safetensors: {error}; remove the file and "
                "fetch or convert the model again"
            ) from error
        problems = _put(state, network)
    if problems:
        more = f" and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
        raise CheckpointError(
            f"{weights.path}: its tensors are not those of {config.architecture} with "
            f"{config.num_classes} classes: {'; '.join(problems[:_MOST_NAMED])}{more}; nothing was "
            "loaded. Use the config.json that was saved with it, or fetch the model again"
        )
    # Not a lambda: networks are sent to other processes.
    network.set_origin(partial(getattr, weights, "sha256"))
    return network


def _read(path: Path, device: torch.device) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file; on the CPU they are mapped, not copied.

    safetensors checks the header, whose rules (tensors in order, no gaps, up to the end of the
    file) give the offsets. Its own ``load_file`` maps too, but takes five times as long for the 932
    small tensors of a ResNet-152.
    """
    if device.type != "cpu":
        return load_file(path, device=str(device))
    with safe_open(path, framework="pt") as file:
        slices = [(name, file.get_slice(name)) for name in file.offset_keys()]
        places = [(name, _DTYPES.get(s.get_dtype()), s.get_shape()) for name, s in slices]
    size = path.stat().st_size
    offset = size - sum(math.prod(shape) * dtype.itemsize for _, dtype, shape in places if dtype)
    if offset % 8 or not all(dtype for _, dtype, _ in places):
        return load_file(path)  # numbers of other kinds, or at odd places
    mapped = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    storage = mapped.untyped_storage()
    state = {}
    for name, dtype, shape in places:
        assert dtype is not None
        end = offset + math.prod(shape) * dtype.itemsize
        # A storage of its own, so that saving or sending one tensor does not take all along.
        own: Any = storage[offset:end]
        # .data starts a version count of its own: 0 means as read from the file.
        state[name] = torch.empty(0, dtype=dtype).set_(own, 0, shape, _strides(shape)).data
        offset = end
    return state


def _widened(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 for weights that are stored in one kind of halves; others as they are.

    Halves are a way to store: in what precision a network computes is chosen when it is loaded.
    Vectors may be float32 all the same, since BatchNorm's variances leave the range of float16.
    """
    floats = [tensor for tensor in state.values() if tensor.is_floating_point()]
    kinds = {tensor.dtype for tensor in floats if tensor.ndim > 1}
    vectors = {tensor.dtype for tensor in floats if tensor.ndim <= 1}
    halves = len(kinds) == 1 and kinds <= {torch.float16, torch.bfloat16}
    if not halves or vectors not in ({torch.float32}, kinds):
        return state
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def _strides(shape: Sequence[int]) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _put(state: dict[str, Tensor], network: VideoNetwork) -> list[str]:
    """Put every tensor into its place and return what does not fit.

    ``load_state_dict(strict=True, assign=True)`` does the same in ten times the time, which for
    ResNet-152 is as much as reading the file.
    """
    problems: list[str] = []
    left = set(state)
    for prefix, module in network.named_modules():
        places: tuple[dict[str, Tensor | None], ...] = (module._parameters, module._buffers)
        for place in places:
            for name, old in place.items():
                key = f"{prefix}.{name}" if prefix else name
                if old is None:
                    continue
                if key not in state:
                    problems.append(f"{key} is missing")
                    continue
                left.discard(key)
                problems += _misfit(key, state[key], old)
                frozen = place is module._parameters
                place[name] = nn.Parameter(state[key], False) if frozen else state[key]
    kinds = {str(tensor.dtype) for tensor in state.values() if tensor.is_floating_point()}
    if len(kinds) > 1:
        problems.append(f"weights are {' and '.join(sorted(kinds))}, not all of one kind")
    return problems + [f"{key} is unexpected" for key in sorted(left)]


def _misfit(key: str, new: Tensor, old: Tensor) -> list[str]:
    if new.shape != old.shape:
        return [f"{key} has shape {tuple(new.shape)}, not {tuple(old.shape)}"]
    if new.is_floating_point() != old.is_floating_point():
        return [f"{key} is {new.dtype}, not {old.dtype}"]
    return []


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Thousands of new objects would set off the collector, which then looks at all of torch."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
