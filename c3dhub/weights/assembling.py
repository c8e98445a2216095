"""A weight file and a config -> a network, in little more time than it takes to read the file."""

from __future__ import annotations

from functools import partial

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..base.errors import CheckpointError, some
from ..networks import VideoNetwork, build
from ..registry.config import ModelConfig
from .local_files import LocalWeights

_MOST_NAMED = 5


def assemble(config: ModelConfig, weights: LocalWeights, *, device: torch.device) -> VideoNetwork:
    """Return the frozen network of ``config`` in eval mode with the tensors of a file.

    It is built on the meta device, so that no weight is initialised in vain; on the CPU the file is
    mapped, not copied. Weights stored as float16 or bfloat16 become float32. Raises CheckpointError
    unless file and network have the same keys with the same shapes.
    """
    with torch.device("meta"):
        network = build(config).eval().requires_grad_(False)
    try:
        state = _widened(load_file(weights.path, device=str(device)))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{weights.path}: cannot read it as safetensors: {error}; remove the file and "
            "fetch or convert the model again"
        ) from error
    if problems := _problems(state, network.state_dict()):
        raise CheckpointError(
            f"{weights.path}: its tensors are not those of {config.architecture} with "
            f"{config.num_classes} classes: {some(problems, most=_MOST_NAMED, joint='; ')}; "
            "nothing was loaded. Use the config.json that was saved with it, or fetch the model "
            "again"
        )
    network.load_state_dict(state, assign=True)
    # Not a lambda: networks are sent to other processes.
    network.set_origin(partial(getattr, weights, "sha256"))
    return network


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


def _problems(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """Return what keeps a file's tensors from being those of a network's ``state_dict()``."""
    problems = [problem for key, old in wanted.items() if (problem := _misfit(key, state, old))]
    kinds = {str(tensor.dtype) for tensor in state.values() if tensor.is_floating_point()}
    if len(kinds) > 1:
        problems.append(f"weights are {' and '.join(sorted(kinds))}, not all of one kind")
    return problems + [f"unexpected: {key}" for key in sorted(state.keys() - wanted.keys())]


def _misfit(key: str, state: dict[str, Tensor], old: Tensor) -> str:
    if key not in state:
        return f"missing: {key}"
    new = state[key]
    if new.shape != old.shape:
        return f"{key} is {tuple(new.shape)}, must be {tuple(old.shape)}"
    if new.is_floating_point() != old.is_floating_point():
        return f"{key} is {new.dtype}, not {old.dtype}"
    return ""
