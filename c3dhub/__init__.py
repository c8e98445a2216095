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
from .base.version import __version__ as __version__

if TYPE_CHECKING:  # ``as``: what type checkers take for public
    from .base.errors import C3DHubError as C3DHubError
    from .base.errors import CheckpointError as CheckpointError
    from .base.errors import DatasetError as DatasetError
    from .base.errors import FeaturesError as FeaturesError
    from .base.errors import ManifestError as ManifestError
    from .base.errors import TrainingError as TrainingError
    from .base.errors import UnknownModelError as UnknownModelError
    from .base.errors import UnknownStageError as UnknownStageError
    from .base.errors import VideoError as VideoError
    from .base.errors import WeightsUnavailableError as WeightsUnavailableError
    from .clips.rule import ClipOptions as ClipOptions
    from .clips.rule import ClipRule as ClipRule
    from .extract import classify as classify
    from .extract import extract_features as extract_features
    from .extract import extract_many as extract_many
    from .extraction.features import Features as Features
    from .extraction.features import load_features as load_features
    from .extraction.options import ComputeOptions as ComputeOptions
    from .extraction.options import ExtractOptions as ExtractOptions
    from .extraction.options import OutputOptions as OutputOptions
    from .extraction.options import ReadOptions as ReadOptions
    from .hub import create_model as create_model
    from .hub import load as load
    from .learning.datasets import VideoItem as VideoItem
    from .learning.datasets import VideoList as VideoList
    from .learning.datasets import read_dataset as read_dataset
    from .learning.evaluation import Evaluation as Evaluation
    from .learning.evaluation import evaluate as evaluate
    from .learning.probing.probe_result import ProbeResult as ProbeResult
    from .learning.probing.probing import probe as probe
    from .learning.probing.transformer import VideoFeatures as VideoFeatures
    from .learning.training import finetune as finetune
    from .registry.config import InputContract as InputContract
    from .registry.config import ModelConfig as ModelConfig
    from .registry.manifest import ModelEntry as ModelEntry
    from .registry.manifest import list_models as list_models
    from .registry.manifest import model_info as model_info
    from .registry.sample import sample_video as sample_video

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
    "ProbeResult": "learning.probing.probe_result",
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

__all__ = sorted([*_MODULES, "__version__"])


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
