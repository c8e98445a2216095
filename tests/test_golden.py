"""The networks give the numbers of the released ones: outputs, keys and shapes.

The golden outputs come from other implementations of the same networks under deterministic
weights; see golden_weights.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import (
    GOLDEN,
    ReleasedFile,
    deterministic_state,
    golden_input,
    released_files,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from c3dhub.networks import ARCHITECTURES, VideoNetwork, build
from c3dhub.registry.config import InputContract, ModelConfig

TOLERANCE = 1e-4
QUICK = {"resnet-18-kinetics", "r3d_18-b3b3357e", "densenet-121-kinetics", "r2p1d18_K_200ep"}
CONTRACT = InputContract(1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "short_side", (112,), True)

# What a released file's name says about its architecture.
FAMILIES = {
    r"(wide|pre)?(resnet|resnext|densenet)-(\d+)-": r"\1\2\3",
    r"(r3d|r2p1d)(\d+)_[A-Z]+_200ep": r"\1\2",
    r"(r3d_18|mc3_18|r2plus1d_18)-": r"\1",
}


def architecture_of(file_name: str) -> str:
    """Return the architecture's name: ``preresnet200`` for ``preresnet-200-kinetics.pth``."""
    for pattern, name in FAMILIES.items():
        match = re.match(pattern, file_name)
        if match:
            return match.expand(name)
    raise AssertionError(f"{file_name} fits no family")


def our_key(key: str) -> str:
    """Return our name of a key: DenseNet's dotted names are no names of modules."""
    return re.sub(r"\.(norm|conv)\.(\d)\.", r".\1\2.", key)


def our_keys(released: ReleasedFile) -> dict[str, tuple[int, ...]]:
    return {our_key(key): shape for key, shape in released.keys.items()}


def build_on_meta(architecture: str, *, num_classes: int = 400) -> VideoNetwork:
    config = ModelConfig(architecture, architecture, num_classes, clip_len=16, input=CONTRACT)
    with torch.device("meta"):
        return build(config)


def build_released(released: ReleasedFile) -> VideoNetwork:
    head = next(key for key in ("fc.bias", "classifier.bias") if key in released.keys)
    return build_on_meta(architecture_of(released.name), num_classes=released.keys[head][0])


def load_golden(released: ReleasedFile) -> VideoNetwork:
    """Return the released network under deterministic weights, eval."""
    network = build_released(released)
    state = {our_key(key): value for key, value in deterministic_state(released.keys).items()}
    for key in network.state_dict():
        if key.endswith("num_batches_tracked"):  # files of 2017 have none
            state.setdefault(key, torch.tensor(0))
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def largest_error(ours: Tensor, golden: NDArray[np.float32]) -> float:
    """Return the largest difference relative to the largest absolute value."""
    assert ours.shape == golden.shape
    assert np.isfinite(golden).all()  # a NaN would compare as no error below
    assert ours.isfinite().all()
    return float(np.abs(ours.numpy() - golden).max() / np.abs(golden).max())


def stage_errors(
    stages: Mapping[str, Tensor], golden: Mapping[str, NDArray[np.float32]]
) -> dict[str, float]:
    """Return the error of every array in a golden file. Shapes must be equal."""
    errors = {
        "logits": largest_error(stages["logits"][0], golden["logits"]),
        "pooled": largest_error(stages["avgpool"][0], golden["pooled"]),
    }
    names = sorted(key.removesuffix(".shape") for key in golden if key.endswith(".shape"))
    assert names == sorted(set(stages) - {"logits", "avgpool"})
    for name in names:
        value = stages[name][0]
        assert list(value.shape) == golden[f"{name}.shape"].tolist(), name
        places = torch.linspace(0, value.numel() - 1, 32).long()
        errors[f"{name}.mean"] = largest_error(value.mean((1, 2, 3)), golden[f"{name}.mean"])
        errors[f"{name}.probe"] = largest_error(value.flatten()[places], golden[f"{name}.probe"])
    return errors


GOLDEN_OUTPUTS = [
    pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow)
    for path in sorted(GOLDEN.glob("*.npz"))
]


@pytest.mark.parametrize("path", GOLDEN_OUTPUTS)
def test_outputs_equal_the_released_network(path: Path) -> None:
    released = released_files()[f"{path.stem}.pth"]
    network = load_golden(released)
    seen: dict[str, Tensor] = {}

    def keep(module: nn.Module, args: object, output: Tensor) -> None:
        seen["norm5"] = output

    if "features.norm5.weight" in released.keys:
        network.get_submodule("features.norm5").register_forward_hook(keep)
    with torch.inference_mode():
        stages = network.forward_stages(golden_input(released.frames), network.stage_names)
    errors = stage_errors({**stages, **seen}, np.load(path))
    print(f"\n{path.stem}: largest relative error {max(errors.values()):.1e}")  # noqa: T201
    assert max(errors.values()) < TOLERANCE, errors


@pytest.mark.parametrize("name", released_files())
def test_keys_and_shapes_equal_the_released_file(name: str) -> None:
    released = released_files()[name]
    ours = {key: tuple(value.shape) for key, value in build_released(released).state_dict().items()}
    if released.era == "cvpr2018":
        ours = {key: s for key, s in ours.items() if not key.endswith("num_batches_tracked")}
    assert ours == our_keys(released)


def test_every_released_file_has_an_architecture() -> None:
    assert len(released_files()) == 40
    assert {architecture_of(name) for name in released_files()} <= set(ARCHITECTURES)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_builds_on_the_meta_device(architecture: str) -> None:
    network = build_on_meta(architecture)
    assert all(value.is_meta for value in network.state_dict().values())
    assert network.config.architecture == architecture


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [("r3d_18", 33_371_472), ("mc3_18", 11_695_440), ("r2plus1d_18", 31_505_325)],
)
def test_torchvision_networks_have_the_published_size(architecture: str, parameters: int) -> None:
    assert sum(value.numel() for value in build_on_meta(architecture).parameters()) == parameters
