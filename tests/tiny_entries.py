"""Registry entries of tiny networks, and what tests of conversion do with their files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from c3dhub.base.errors import CheckpointError
from c3dhub.networks import build
from c3dhub.registry.config import ModelConfig
from c3dhub.registry.entries import ModelEntry
from c3dhub.registry.manifest import load_manifest
from c3dhub.weights.convert import Converted, convert_checkpoint

State = dict[str, Tensor]


def tiny_entry(name: str, architecture: str, num_classes: int, **options: object) -> ModelEntry:
    """Return an entry of a network that takes no time."""
    like = load_manifest()["resnet18_kinetics"]
    config = ModelConfig(
        name=name,
        architecture=architecture,
        num_classes=num_classes,
        clip_len=16,
        input=like.config.input,
        options=options,
    )
    with torch.device("meta"):
        parameters = sum(value.numel() for value in build(config).parameters())
    return replace(
        like,
        name=name,
        config=config,
        parameters=parameters,
        stages={**like.stages, "logits": (num_classes,)},
        filename=f"{name}.pth",
        sources=(),
        status="manual",
    )


@functools.cache
def tiny_entries() -> dict[str, ModelEntry]:
    """Return entries by name: two heads, two shortcuts, a pair of twins and a DenseNet."""
    small = {"layers": [1, 1, 1, 1], "width": 8}
    entries = [
        tiny_entry("a5", "resnet10", 5, width=8),
        tiny_entry("a7", "resnet10", 7, width=8),
        tiny_entry("b5", "resnet10", 5, width=8, shortcut="B"),
        tiny_entry("twin-16f", "r3d18", 5, width=8),
        tiny_entry("twin-64f", "r3d18", 5, width=8),
        tiny_entry("dense", "densenet121", 5, growth=4, **small),
    ]
    return {entry.name: entry for entry in entries}


def fresh_state(entry: ModelEntry) -> State:
    """Return random weights of a network, with counters."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return dict(build(entry.config).state_dict())


def saved(path: Path, content: Mapping[str, object]) -> Path:
    torch.save(content, path)
    return path


def without_counters(state: State) -> State:
    return {key: v for key, v in state.items() if not key.endswith("num_batches_tracked")}


def assert_same_weights(converted: Converted, state: State) -> None:
    assert converted.state.keys() == state.keys()
    assert all(torch.equal(converted.state[key], value) for key, value in state.items())


def refusal(path: Path, name: str | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        convert_checkpoint(path, name=name)
    assert str(path) in str(caught.value)
    return str(caught.value)
