"""All 40 released files are told from each other by keys and shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden_weights import ReleasedFile, released_files, write_checkpoint
from tiny_entries import (
    State,
    refusal,
    saved,
)

from c3dhub.weights.convert import convert_checkpoint
from c3dhub.weights.convert.matching import expected_shapes


def hollow_state(released: ReleasedFile) -> State:
    """Return tensors of the right shapes whose file is small: one number each, expanded."""
    state = {}
    for key, shape in released.keys.items():
        whole = key.endswith("num_batches_tracked")
        value = torch.tensor(3) if whole else torch.tensor(0.5)
        state[released.prefix + key] = value.expand(shape)
    return state


@pytest.mark.slow
@pytest.mark.parametrize("released", released_files().values(), ids=released_files())
def test_each_released_file_is_told_from_the_others(released: ReleasedFile, tmp_path: Path) -> None:
    content = {"epoch": 200, "arch": "?", "state_dict": hollow_state(released), "optimizer": {}}
    converted = convert_checkpoint(saved(tmp_path / released.name, content))
    assert converted.entry.filename == released.name
    assert converted.prefix == released.prefix
    shapes = {key: tuple(value.shape) for key, value in converted.state.items()}
    assert shapes == expected_shapes(converted.entry.config)
    assert all(v.is_contiguous() for v in converted.state.values())
    counters = [v for key, v in converted.state.items() if key.endswith("num_batches_tracked")]
    assert {int(v) for v in counters} == {0 if released.era == "cvpr2018" else 3}


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("bare", [False, True], ids=["wrapped", "bare"])
@pytest.mark.parametrize(
    "released", [released_files()["densenet-121-kinetics.pth"]], ids=["densenet-121"]
)
def test_dotted_names_and_every_way_of_saving_give_the_same_weights(
    released: ReleasedFile, bare: bool, legacy: bool, tmp_path: Path
) -> None:
    prefix = "model.module." if bare else None
    path = write_checkpoint(
        tmp_path / "x.pth", released.name, legacy=legacy, bare=bare, prefix=prefix
    )
    converted = convert_checkpoint(path)
    assert converted.entry.name == "densenet121_kinetics"
    assert converted.prefix == prefix or not bare
    content = torch.load(path, weights_only=True)
    key = "features.denseblock2.denselayer3"
    original = (content if bare else content["state_dict"])[
        f"{converted.prefix}{key}.norm.2.weight"
    ]
    assert torch.equal(converted.state[f"{key}.norm2.weight"], original)


@pytest.mark.slow
@pytest.mark.parametrize("released", [released_files()["resnet-18-kinetics.pth"]], ids=["18"])
def test_foreign_network_is_refused_with_the_nearest_model(
    released: ReleasedFile, tmp_path: Path
) -> None:
    flat = {
        key.removeprefix("module."): value[:, :, 0] if value.dim() == 5 else value
        for key, value in hollow_state(released).items()
    }
    message = refusal(saved(tmp_path / "resnet18-2d.pth", flat))
    assert "any of the 40 models" in message
    assert "the nearest is resnet18_kinetics" in message
    assert "conv1.weight is (64, 3, 7, 7), must be (64, 3, 7, 7, 7)" in message
    assert "of another shape (17)" in message
    assert "... and 9 more" in message
