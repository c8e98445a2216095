"""The pair of files: equal bytes for equal weights, readable by others, whole or not there."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from c3dhub.base.errors import CheckpointError
from c3dhub.networks import VideoNetwork, saving
from c3dhub.networks.saving import write_pretrained
from c3dhub.registry.config import ModelConfig


def test_files_hold_the_weights_the_header_and_the_config(
    tiny: VideoNetwork, tmp_path: Path
) -> None:
    metadata = {"model": "tiny", "source_file": "größe \U0001f600.pth"}
    weights, config = write_pretrained(
        tiny.state_dict(), tiny.config, tmp_path / "a" / "b", metadata=metadata
    )
    loaded = load_file(weights)
    assert loaded.keys() == tiny.state_dict().keys()
    assert all(torch.equal(loaded[key], value) for key, value in tiny.state_dict().items())
    with safe_open(weights, framework="pt") as opened:
        assert opened.metadata() == {"format": "pt", **metadata}
    assert ModelConfig.from_file(config) == tiny.config
    assert list(json.loads(config.read_text())) == sorted(tiny.config.to_dict())


def test_equal_weights_give_equal_bytes_in_any_order(tiny: VideoNetwork, tmp_path: Path) -> None:
    state = tiny.state_dict()
    metadata = {"model": "m", "source_file": "f", "source_sha256": "0" * 64}
    one = write_pretrained(state, tiny.config, tmp_path / "1", metadata=metadata)
    turned = dict(reversed(state.items()))
    again = dict(reversed(metadata.items()))
    two = write_pretrained(turned, tiny.config, tmp_path / "2", metadata=again)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_every_dtype_and_shape_comes_back(tiny: VideoNetwork, tmp_path: Path) -> None:
    state = {str(dtype): torch.tensor([[0, 1, 2], [3, 4, 5]]).to(dtype) for dtype in saving._TYPES}
    state |= {"scalar": torch.tensor(7), "none": torch.empty(0, 3)}
    state["turned"] = torch.arange(6.0).reshape(2, 3).t()
    weights, _ = write_pretrained(state, tiny.config, tmp_path, metadata={})
    loaded = load_file(weights)
    for key, value in state.items():
        assert loaded[key].dtype == value.dtype
        assert torch.equal(loaded[key], value)


@pytest.mark.parametrize(
    "tensor", [torch.ones(2, dtype=torch.complex64), torch.ones(2, device="meta")]
)
def test_tensors_without_a_place_in_the_format_are_refused(
    tiny: VideoNetwork, tmp_path: Path, tensor: Tensor
) -> None:
    with pytest.raises(ValueError, match="odd is torch"):
        write_pretrained({"odd": tensor}, tiny.config, tmp_path, metadata={})
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_the_old_pair(
    tiny: VideoNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = write_pretrained(tiny.state_dict(), tiny.config, tmp_path, metadata={})
    before = [path.read_bytes() for path in pair]

    def fill(stream: IO[bytes], state: Mapping[str, Tensor], *, metadata: object) -> None:
        stream.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(saving, "write_safetensors", fill)
    with pytest.raises(CheckpointError, match=r"No space left on device.*Free some space"):
        write_pretrained(tiny.state_dict(), tiny.config, tmp_path, metadata={"model": "other"})
    assert sorted(tmp_path.iterdir()) == sorted(pair)
    assert [path.read_bytes() for path in pair] == before


def test_folder_that_cannot_be_is_an_error(tiny: VideoNetwork, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="cannot write the model there"):
        write_pretrained({}, tiny.config, tmp_path / "file" / "inside", metadata={})


def test_folder_in_the_place_of_a_file_is_an_error(tiny: VideoNetwork, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is a folder"):
        write_pretrained({}, tiny.config, tmp_path, metadata={})
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
