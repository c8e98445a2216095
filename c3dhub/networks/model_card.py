"""The README of a network's repository on the Hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..extraction.clip_network import ClipNetwork
from ..registry.config import ModelConfig

if TYPE_CHECKING:
    from huggingface_hub import ModelCard


def model_card(network: ClipNetwork, repo_id: str) -> ModelCard:
    """Return the README: what the network is and how it is loaded."""
    # late: slow to import, and most networks are never pushed
    from huggingface_hub import ModelCard, ModelCardData

    config, contract = network.config, network.config.input
    data = ModelCardData(
        library_name="c3dhub",
        pipeline_tag="video-classification",
        tags=["video", "3d-resnet", "feature-extraction"],
    )
    names = f"{len(config.classes)} named classes" if config.classes else "no class names"
    return ModelCard(
        f"---\n{data.to_yaml()}\n---\n\n"
        f"# {config.name}\n\n"
        f"A {config.architecture} for clips of {config.clip_len} frames, {config.num_classes} "
        f"logits ({names}), {network.num_features} pooled features.\n\n"
        "```python\nimport c3dhub\n\n"
        f'model = c3dhub.load("hf://{repo_id}")\n'
        'features = model.extract_features("video.mp4")\n```\n\n'
        f"Input: RGB scaled so that white is {contract.max_value:g}, mean {contract.mean}, "
        f"std {contract.std}, {contract.crop_size}x{contract.crop_size} pixels.\n"
        f"{_made_from(config)}"
    )


def _made_from(config: ModelConfig) -> str:
    """Return a section on where the weights come from, or nothing where that is unknown."""
    if config.provenance is None:
        return ""
    text = json.dumps(config.provenance, indent=2, ensure_ascii=False)
    return f"\n## Where the weights come from\n\n```json\n{text}\n```\n"
