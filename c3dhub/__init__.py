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

from .base import hooks
from .base.version import __version__

if TYPE_CHECKING:
    from .base.errors import (
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
    from .clips.rule import ClipOptions, ClipRule
    from .extract import classify, extract_features, extract_many
    from .extraction.features import Features, load_features
    from .extraction.options import ComputeOptions, ExtractOptions, OutputOptions, ReadOptions
    from .hub import create_model, load
    from .learning.datasets import VideoItem, VideoList, read_dataset
    from .learning.evaluation import Evaluation, evaluate
    from .learning.probing.probing import probe
    from .learning.probing.scores import ProbeResult
    from .learning.probing.transformer import VideoFeatures
    from .learning.training import finetune
    from .registry.config import InputContract, ModelConfig
    from .registry.manifest import ModelEntry, list_models, model_info
    from .registry.sample import sample_video

# Public name -> module. Names are imported when they are first used, so that listing models does
# not wait for torch.
_MODULES = {
    "C3DHubError": "base.errors",
    "CheckpointError": "base.errors",
    "ClipOptions": "clips.rule",
    "ClipRule": "clips.rule",
    "ComputeOptions": "extraction.options",
    "DatasetError": "base.errors",
    "Evaluation": "learning.evaluation",
    "ExtractOptions": "extraction.options",
    "Features": "extraction.features",
    "FeaturesError": "base.errors",
    "InputContract": "registry.config",
    "ManifestError": "base.errors",
    "ModelConfig": "registry.config",
    "ModelEntry": "registry.manifest",
    "OutputOptions": "extraction.options",
    "ProbeResult": "learning.probing.scores",
    "ReadOptions": "extraction.options",
    "TrainingError": "base.errors",
    "UnknownModelError": "base.errors",
    "UnknownStageError": "base.errors",
    "VideoError": "base.errors",
    "VideoFeatures": "learning.probing.transformer",
    "VideoItem": "learning.datasets",
    "VideoList": "learning.datasets",
    "WeightsUnavailableError": "base.errors",
    "classify": "extract",
    "create_model": "hub",
    "evaluate": "learning.evaluation",
    "extract_features": "extract",
    "extract_many": "extract",
    "finetune": "learning.training",
    "list_models": "registry.manifest",
    "load": "hub",
    "load_features": "extraction.features",
    "model_info": "registry.manifest",
    "probe": "learning.probing.probing",
    "read_dataset": "learning.datasets",
    "sample_video": "registry.sample",
}

__all__ = [
    "C3DHubError",
    "CheckpointError",
    "ClipOptions",
    "ClipRule",
    "ComputeOptions",
    "DatasetError",
    "Evaluation",
    "ExtractOptions",
    "Features",
    "FeaturesError",
    "InputContract",
    "ManifestError",
    "ModelConfig",
    "ModelEntry",
    "OutputOptions",
    "ProbeResult",
    "ReadOptions",
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


def _from_pretrained(*args: Any, **kwargs: Any) -> Any:
    from .hub import from_pretrained  # when it is first used, as above

    return from_pretrained(*args, **kwargs)


hooks.from_pretrained = _from_pretrained
