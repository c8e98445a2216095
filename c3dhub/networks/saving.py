"""The pair of files that holds a model: ``model.safetensors`` and ``config.json``.

The safetensors library writes the same weights, but with its header's metadata in an order that
changes from run to run, and in a file that only its owner may read. Written here, equal weights
give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from ..base.errors import CheckpointError
from ..base.files import atomic_path
from ..registry.config import CONFIG_FILE, WEIGHTS_FILE, ModelConfig

_TYPES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_pretrained(
    state: Mapping[str, Tensor],
    config: ModelConfig,
    directory: str | Path,
    *,
    metadata: Mapping[str, str],
) -> tuple[Path, Path]:
    """Write ``model.safetensors`` and ``config.json`` into a folder, which is made where needed.

    Both are whole before either takes its place; after an error the folder's files are as before.

    Parameters
    ----------
    state: the network's state dict, on any device.
    metadata: text for the safetensors header; ``{"format": "pt"}`` is added.

    Returns
    -------
    The paths of the two files.

    Raises
    ------
    CheckpointError
        If the folder cannot be written or the disk is full.
    """
    directory = Path(directory)
    weights, settings = directory / WEIGHTS_FILE, directory / CONFIG_FILE
    text = json.dumps(config.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for target in (weights, settings):
            if target.is_dir():
                raise IsADirectoryError(None, f"{target.name} is a folder")
        with atomic_path(weights) as new_weights, atomic_path(settings) as new_settings:
            new_settings.write_text(text, encoding="utf-8", newline="\n")
            with new_weights.open("wb") as stream:
                write_safetensors(stream, state, metadata={"format": "pt", **metadata})
    except OSError as error:
        raise CheckpointError(
            f"{directory}: cannot write the model there: {error.strerror or error}; no file "
            "there was changed. Free some space or choose another folder"
        ) from error
    return weights, settings


def write_safetensors(
    stream: IO[bytes], state: Mapping[str, Tensor], *, metadata: Mapping[str, str]
) -> None:
    """Write tensors in the safetensors format: equal arguments give equal bytes.

    Raises ValueError for a tensor that is sparse, without values, or of a dtype that is unknown.
    """
    # Wide numbers first, so that every tensor begins at a multiple of its number's size.
    names = sorted(state, key=lambda name: (-state[name].element_size(), name))
    stream.write(_header({name: state[name] for name in names}, metadata))
    for name in names:
        # One at a time, so that a copy costs little memory.
        flat = state[name].detach().cpu().contiguous().reshape(-1)
        stream.write(flat.view(torch.uint8).numpy().data)


def _header(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    for name, tensor in state.items():
        if tensor.dtype not in _TYPES or tensor.layout != torch.strided or tensor.is_meta:
            raise ValueError(
                f"{name} is {tensor.dtype}, {tensor.layout}, on {tensor.device}; a safetensors "
                "file takes dense tensors with values, of common dtypes"
            )
        end = offset + tensor.nbytes
        header[name] = {
            "dtype": _TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
