"""c3dhub: pretrained 3D ResNets that turn any video into frozen spatiotemporal features.

    import c3dhub

    model = c3dhub.load("resnet50_kinetics")
    features = model.extract_features("video.mp4")
    features.pooled, features.start_seconds

Where to read on: ``hub.py`` (name -> network), ``extract.py`` (video -> features).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .classification import classify
    from .clips import ClipRule
    from .config import InputContract, ModelConfig
    from .datasets import VideoItem, VideoList, read_dataset
    from .errors import (
        C3DHubError,
        CheckpointError,
        DatasetError,
        FeaturesError,
        ManifestError,
        TrainingError,
        UnknownModelError,
        UnknownStageError,
        VideoError,
        WeightsUnavailableError,
    )
    from .evaluation import Evaluation, evaluate
    from .extract import extract_features, extract_many
    from .features import Features, load_features
    from .hub import create_model, load
    from .manifest import ModelEntry, list_models, model_info
    from .probing.run import probe
    from .probing.scores import ProbeResult
    from .probing.transformer import VideoFeatures
    from .sample import sample_video
    from .training import finetune

# Public name -> module. Names are imported when they are first used, so that listing models does
# not wait for torch.
_MODULES = {
    "C3DHubError": "errors",
    "CheckpointError": "errors",
    "ClipRule": "clips",
    "DatasetError": "errors",
    "Evaluation": "evaluation",
    "Features": "features",
    "FeaturesError": "errors",
    "InputContract": "config",
    "ManifestError": "errors",
    "ModelConfig": "config",
    "ModelEntry": "manifest",
    "ProbeResult": "probing.scores",
    "TrainingError": "errors",
    "UnknownModelError": "errors",
    "UnknownStageError": "errors",
    "VideoError": "errors",
    "VideoFeatures": "probing.transformer",
    "VideoItem": "datasets",
    "VideoList": "datasets",
    "WeightsUnavailableError": "errors",
    "classify": "classification",
    "create_model": "hub",
    "evaluate": "evaluation",
    "extract_features": "extract",
    "extract_many": "extract",
    "finetune": "training",
    "list_models": "manifest",
    "load": "hub",
    "load_features": "features",
    "model_info": "manifest",
    "probe": "probing.run",
    "read_dataset": "datasets",
    "sample_video": "sample",
}

__all__ = [
    "C3DHubError",
    "CheckpointError",
    "ClipRule",
    "DatasetError",
    "Evaluation",
    "Features",
    "FeaturesError",
    "InputContract",
    "ManifestError",
    "ModelConfig",
    "ModelEntry",
    "ProbeResult",
    "TrainingError",
    "UnknownModelError",
    "UnknownStageError",
    "VideoError",
    "VideoFeatures",
    "VideoItem",
    "VideoList",
    "WeightsUnavailableError",
    "__version__",
    "classify",
    "create_model",
    "evaluate",
    "extract_features",
    "extract_many",
    "finetune",
    "list_models",
    "load",
    "load_features",
    "model_info",
    "probe",
    "read_dataset",
    "sample_video",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'c3dhub' has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
