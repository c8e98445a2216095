"""Which part of a network is trained, and what keeps the rest as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...base.errors import UnknownStageError, near_matches
from ...networks import VideoNetwork

_HEAD = "logits"


def trainable_stages(network: VideoNetwork) -> tuple[str, ...]:
    """Return the names that training may begin at, the whole network first, the head last."""
    return (*network.stage_names[:-2], "fc")  # without avgpool and logits


def check_begin_at(network: VideoNetwork, begin_at: str) -> str:
    """Return the name of the stage that is meant; ``"head"`` and the like are ``"fc"``.

    Raises UnknownStageError for another name.
    """
    if begin_at in ("fc", "head", _HEAD, network.head_name):
        return "fc"
    known = trainable_stages(network)
    if begin_at not in known:
        raise UnknownStageError(
            f"begin_at is {begin_at!r}; {network.config.architecture} can be trained from "
            f"{', '.join(known)} on (fc: the classifier alone).{near_matches(str(begin_at), known)}"
        )
    return begin_at


def units(network: VideoNetwork) -> dict[str, list[nn.Module]]:
    """Return the modules that compute each stage out of the one before it.

    Example: a DenseNet's ``transition3`` belongs to ``denseblock4``, its last BatchNorm to
    ``avgpool``.
    """
    children = [
        child
        for name, module in network.named_children()
        for child in (module.named_children() if name == "features" else [(name, module)])
    ]
    stages = network.stage_names
    found: dict[str, list[nn.Module]] = {name: [] for name in stages}
    current = 0  # the stage that modules without a stage's name are of
    for child, module in children:
        name = _HEAD if child == network.head_name else child
        if name in stages:
            found[name].append(module)
            current = stages.index(name) + 1
        else:
            found[stages[current]].append(module)
    return found


@contextmanager
def trained_from(network: VideoNetwork, begin_at: str) -> Iterator[list[_BatchNorm]]:
    """Make ``begin_at`` and what follows trainable, and hold what comes before it.

    Yields the BatchNorm layers that are trained. Within the block those that are held normalise
    with their stored statistics and do not change them, whoever calls ``network.train()``.
    """
    first = network.stage_names.index(_HEAD if begin_at == "fc" else begin_at)
    parts = units(network)
    held = [module for name in network.stage_names[:first] for module in parts[name]]
    frozen = {id(module) for unit in held for module in unit.modules()}
    network.requires_grad_(True)
    for unit in held:
        unit.requires_grad_(False)
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    hooks = [n.register_forward_pre_hook(_use_statistics) for n in norms if id(n) in frozen]
    try:
        yield [norm for norm in norms if id(norm) not in frozen]
    finally:
        for hook in hooks:
            hook.remove()


def _use_statistics(norm: nn.Module, args: object) -> None:
    # Not an override of train(): code that sets ``training`` module by module must not get through.
    norm.training = False
