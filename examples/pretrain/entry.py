"""The bundled model's entry in weights_manifest.json, put into the text that is there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from c3dhub.networks import VideoNetwork, build


def model_entry(
    network: VideoNetwork,
    metrics: Sequence[Mapping[str, Any]],
    *,
    sha256: str,
    size: int,
    path: str,
    note: str,
) -> dict[str, Any]:
    """Return the entry of a network whose weights are stored at ``path``; size in bytes."""
    config = network.config
    stages, gflops = _shapes_and_work(network)
    return {
        "title": f"3D ResNet-18 with {config.options['width']} channels in its first stage",
        "release": "figures",
        "architecture": config.architecture,
        "options": dict(config.options),
        "data": "figures",
        "num_classes": config.num_classes,
        "clip_len": config.clip_len,
        "stages": stages,
        "parameters": sum(p.numel() for p in network.parameters()),
        "gflops": gflops,
        "metrics": [dict(metric) for metric in metrics],
        "filename": "model.safetensors",
        "sources": [],
        "hub": None,
        "bundled": {"path": path, "sha256": sha256, "size": size},
        "status": "bundled",
        "note": note,
    }


def _shapes_and_work(network: VideoNetwork) -> tuple[dict[str, list[int]], float]:
    """Return stage -> shape, and 1e9 x 2 x multiply-accumulates, for one clip."""
    config = network.config
    with torch.device("meta"), torch.no_grad():
        empty = build(config).eval()
        side = config.input.crop_size
        clips = torch.empty(1, config.in_channels, config.clip_len, side, side)
        with FlopCounterMode(display=False) as counter:
            maps = empty.forward_stages(clips, empty.stage_names)
    shapes = {stage: list(value.shape[1:]) for stage, value in maps.items()}
    return shapes, round(counter.get_total_flops() / 1e9, 3)


def with_entry(manifest: str, name: str, entry: Mapping[str, Any]) -> str:
    """Return the manifest's text with the entry of ``name`` replaced and all else as it was.

    Raises ValueError where no such entry is there.
    """
    block = re.compile(rf'^    "{re.escape(name)}": \{{\n.*?^    \}}', re.MULTILINE | re.DOTALL)
    if len(block.findall(manifest)) != 1:
        raise ValueError(f"the manifest must have the entry {name!r} once, indented by 4 spaces")
    text = json.dumps({name: dict(entry)}, indent=2, ensure_ascii=False)
    # Shapes stand on one line, as everywhere in the file.
    text = re.sub(r"\[\s*(\d[\d,\s]*?)\s*\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    inside = "\n".join(f"  {line}" for line in text.splitlines()[1:-1])
    return block.sub(lambda _: inside, manifest)
