"""Which network a dict of tensors belongs to, judged by its keys and shapes alone.

Every key of the file and of the network is accounted for: it fits, or it is missing, unexpected or
of another shape. Prefixes such as ``module.`` are found by what follows them, not by their name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from ...networks import build
from ...registry.config import ModelConfig
from ...registry.entries import ModelEntry

Shapes = Mapping[str, tuple[int, ...]]

_COUNTER = "num_batches_tracked"
_BUFFERS = (_COUNTER, "running_mean", "running_var")
# torch refuses dots in module names today; DenseNets of 2017 have them: denselayer1.norm.1.weight.
_DOTTED = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d+)(?=\.)")
_UNDOTTED = re.compile(r"(denselayer\d+\.(?:norm|conv))(\d+)(?=\.)")
_HEAD = re.compile(r"(fc|classifier)\.(weight|bias)")
_SHOWN = 8
# Two releases of one architecture differ in two keys, the classifier's weight and bias; so no
# other release can be nearer than one that differs in two at most.
_NEAR_ENOUGH = 2


@dataclass(frozen=True)
class Match:
    """How the keys of a file fit those of a network.

    ``keys`` maps the network's keys to the file's. ``missing``, ``unexpected`` and ``reshaped``
    (key, its shape, the network's shape) name keys as the file spells them. ``without_counters``:
    the file has no ``num_batches_tracked`` at all, as files of 2018.
    """

    prefix: str
    keys: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    without_counters: bool

    @property
    def fitting(self) -> int:
        """How many keys fit, counters left out."""
        return sum(not is_counter(key) for key in self.keys) - len(self.reshaped)

    @property
    def problems(self) -> int:
        """How many keys do not fit."""
        return len(self.missing) + len(self.unexpected) + len(self.reshaped)

    @property
    def score(self) -> int:
        """How near the file is to the network; higher is nearer."""
        return self.fitting - self.problems

    def report(self) -> str:
        """Return the lines that name each key that does not fit, at most 8 of a kind."""
        shapes = [f"{key} is {has}, must be {needs}" for key, has, needs in self.reshaped]
        kinds = {"missing": self.missing, "unexpected": self.unexpected, "of another shape": shapes}
        lines = [f"  {kind} ({len(k)}): {shorten(k)}" for kind, k in kinds.items() if k]
        if any(is_counter(key) for key in self.missing):
            lines.append(f"  ({_COUNTER} must be there for every BatchNorm or for none)")
        return "\n".join(lines)

    def only_head_differs(self) -> bool:
        """Tell whether all is well but the number of classes."""
        heads = all(
            _HEAD.fullmatch(key.removeprefix(self.prefix)) and has[1:] == needs[1:]
            for key, has, needs in self.reshaped
        )
        return self.problems == len(self.reshaped) > 0 and heads


def is_counter(key: str) -> bool:
    """Tell BatchNorm's count of batches, which no output depends on, from other keys."""
    return key.endswith(_COUNTER)


def shorten(values: Sequence[str]) -> str:
    """Join the first 8 values by commas and say how many more there are."""
    more = f", ... and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(values[:_SHOWN]) + more


def match_keys(tensors: Mapping[str, Tensor], expected: Shapes) -> Match:
    """Account for every key of ``tensors`` and of ``expected`` (key -> shape)."""
    prefix = _find_prefix(tensors, expected)
    canonical: dict[str, str] = {}
    unexpected = []
    for key in tensors:
        ours = _DOTTED.sub(r"\1\2", key.removeprefix(prefix))
        if not key.startswith(prefix) or ours not in expected or ours in canonical:
            unexpected.append(key)
        else:
            canonical[ours] = key
    reshaped = tuple(
        (key, tuple(tensors[key].shape), expected[ours])
        for ours, key in canonical.items()
        if tuple(tensors[key].shape) != expected[ours]
    )
    counters = [key for key in expected if is_counter(key)]
    without_counters = bool(counters) and not any(key in canonical for key in counters)
    missing = [
        key
        for key in expected
        if key not in canonical and not (without_counters and is_counter(key))
    ]
    dotted = any(_DOTTED.search(key) for key in tensors)
    spelled = tuple(prefix + (_UNDOTTED.sub(r"\1.\2", key) if dotted else key) for key in missing)
    return Match(prefix, canonical, spelled, tuple(unexpected), reshaped, without_counters)


def _find_prefix(tensors: Mapping[str, Tensor], expected: Shapes) -> str:
    """Return what stands before most keys that the network knows; shapes that agree count too."""
    votes: Counter[str] = Counter({"": 0})
    for key, tensor in tensors.items():
        ours = _DOTTED.sub(r"\1\2", key)
        # The prefix has no DenseNet layer in it, so it is the same before and after the rename.
        for start in (0, *(dot.end() for dot in re.finditer(r"\.", ours))):
            shape = expected.get(ours[start:])
            if shape is not None:
                votes[ours[:start]] += 1 + (shape == tuple(tensor.shape))
    return max(votes, key=lambda prefix: (votes[prefix], -len(prefix)))


def expected_shapes(config: ModelConfig) -> Shapes:
    """Return key -> shape of the network of ``config``, without making its weights."""
    bare = replace(config, name=config.architecture, classes=None)
    return _shapes(json.dumps(bare.to_dict(), sort_keys=True))


@lru_cache(maxsize=64)
def _shapes(config: str) -> Shapes:
    with torch.device("meta"):
        network = build(ModelConfig.from_dict(json.loads(config)))
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def count_parameters(tensors: Mapping[str, Tensor]) -> int:
    """Return how many numbers are trained, which leaves BatchNorm's statistics out."""
    return sum(t.numel() for key, t in tensors.items() if not key.endswith(_BUFFERS))


def find_nearest(
    tensors: Mapping[str, Tensor], entries: Iterable[ModelEntry]
) -> list[tuple[ModelEntry, Match]]:
    """Return the entry that fits the tensors best and how; several where they are twins.

    Entries are tried in the order of how near their number of parameters is, so that a good file
    needs a single network.
    """
    size = count_parameters(tensors)
    best: list[tuple[ModelEntry, Match]] = []
    for entry in sorted(entries, key=lambda e: (abs(e.parameters - size), e.parameters)):
        if best and _settled(best, entry):
            break
        match = match_keys(tensors, expected_shapes(entry.config))
        if not best or match.score > best[0][1].score:
            best = [(entry, match)]
        elif _twins(entry, best[0][0]):
            best.append((entry, match))
    return best


def _settled(best: list[tuple[ModelEntry, Match]], entry: ModelEntry) -> bool:
    found, match = best[0]
    return match.problems <= _NEAR_ENOUGH and entry.parameters != found.parameters


def _twins(one: ModelEntry, other: ModelEntry) -> bool:
    """Tell whether two models have the same keys and shapes."""
    same_size = one.parameters == other.parameters
    return same_size and expected_shapes(one.config) == expected_shapes(other.config)
