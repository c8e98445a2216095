"""Networks out of this process: into a folder, onto the Hub."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.home import hub_endpoint
from ..extraction.network import ClipNetwork
from ..registry.config import ModelConfig
from .saving import write_pretrained

if TYPE_CHECKING:
    from huggingface_hub import ModelCard


def save_pretrained(network: ClipNetwork, save_directory: str | Path) -> Path:
    """Write ``model.safetensors`` and ``config.json``; see ``VideoNetwork.save_pretrained``."""
    if network.inference_precision is not None:
        raise ValueError(
            f"this is the inference form in {network.inference_precision}: its BatchNorm is folded "
            "away and it cannot be saved; load the model without precision and save that"
        )
    folder = Path(save_directory)
    metadata = {"model": network.config.name}
    write_pretrained(network.state_dict(), network.config, folder, metadata=metadata)
    return folder


def push_to_hub(
    network: ClipNetwork,
    repo_id: str,
    *,
    commit_message: str,
    private: bool | None,
    token: str | None,
    revision: str | None,
    create_pr: bool,
) -> str:
    """Upload weights, config and card in one commit; see ``VideoNetwork.push_to_hub``."""
    # Here, because it takes long to import and most networks are never pushed.
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub_endpoint(), token=token)
    with tempfile.TemporaryDirectory() as temporary:
        folder = save_pretrained(network, Path(temporary) / "model")
        model_card(network, repo_id).save(folder / "README.md")
        # Only now, so that a network that cannot be saved leaves no empty repository behind.
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            commit_message=commit_message,
            revision=revision,
            create_pr=create_pr,
        )
    return str(commit)


def model_card(network: ClipNetwork, repo_id: str) -> ModelCard:
    """Return the README of a repository on the Hub: what the network is and how it is loaded."""
    from huggingface_hub import ModelCard, ModelCardData  # as in push_to_hub

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
