"""A release of networks so small that tests can serve, convert and damage them in no time."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from loopback import FileServer

from c3dhub.networks import build
from c3dhub.registry.config import ModelConfig

_SHIPPED = Path(__file__).resolve().parent.parent / "weights_manifest.json"
_SIZES = {"stem": 8, "layer1": 8, "layer2": 16, "layer3": 32, "layer4": 64}
NUM_CLASSES = 5


def tiny_config(name: str = "tiny") -> ModelConfig:
    """Return the config that the manifest of `write_manifest` gives a model."""
    release = json.loads(_SHIPPED.read_text(encoding="utf-8"))["releases"]["cvpr2018"]
    return ModelConfig.from_dict(
        {
            "name": name,
            "architecture": "resnet10",
            "num_classes": NUM_CLASSES,
            "clip_len": 16,
            "input": {**release["input"], "max_value": 255.0},
            "options": {"width": 8},
        }
    )


def checkpoint_bytes(*, seed: int = 0) -> bytes:
    """Return a released checkpoint file of such a network with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(tiny_config())
    file = io.BytesIO()
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"epoch": 1, "arch": "resnet-10", "state_dict": state}, file)
    return file.getvalue()


def write_manifest(path: Path, models: dict[str, dict[str, Any]]) -> Path:
    """Write a manifest whose models are ResNet-10 with 8 channels and 5 classes.

    ``models`` maps each name to the fields that differ: ``sources``, ``hub``, ``filename``.
    """
    shipped = json.loads(_SHIPPED.read_text(encoding="utf-8"))
    release = {**shipped["releases"]["cvpr2018"], "sources": []}
    data = {"name": "nothing", "short": "none", "classes_note": "invented", "terms": "none"}
    stages = {name: [channels, 1, 1, 1] for name, channels in _SIZES.items()}
    entries = {
        name: {
            "title": "Tiny ResNet-10",
            "release": "tiny",
            "architecture": "resnet10",
            "options": {"width": 8},
            "data": "tiny",
            "num_classes": NUM_CLASSES,
            "clip_len": 16,
            "stages": {**stages, "avgpool": [64], "logits": [NUM_CLASSES]},
            "parameters": 230237,
            "gflops": 0.1,
            "metrics_note": "Never trained.",
            "filename": f"{name}.pth",
            "status": "download" if fields.get("sources") or fields.get("hub") else "manual",
            **fields,
        }
        for name, fields in models.items()
    }
    manifest = {
        "schema_version": shipped["schema_version"],
        "releases": {"tiny": release},
        "data": {"tiny": data},
        "models": entries,
    }
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return path


class Release:
    """A manifest with the one model "tiny", whose sources a test chooses."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "manifest.json"
        monkeypatch.setenv("C3DHUB_MANIFEST", str(self.path))

    def __call__(self, *sources: dict[str, Any], **fields: Any) -> None:
        write_manifest(self.path, {"tiny": {"sources": list(sources), **fields}})


def at(server: FileServer, **fields: Any) -> dict[str, Any]:
    """Return the source that says that a server has the file at ``/tiny.pth``."""
    return {"kind": "url", "location": f"{server.url}/tiny.pth", **fields}
