"""The inference form of a network: the same function, prepared once, faster, not trainable.

On torch (``folding.py``) BatchNorm is folded into the convolutions and weights take the dtype of
the precision. On OpenVINO (``openvino_*.py``), which is faster on CPUs and the one to have int8,
the network is converted, quantised where asked, and kept on disk. The plain network stays as it is.
"""

from __future__ import annotations

import importlib.metadata
import logging
import weakref
from collections.abc import Sequence
from typing import Any

import torch

from ...base.places import cache_home
from ...base.version import __version__
from ...video import VideoSource
from ..feature_extractor import FeatureExtractor
from ..options import ComputeOptions
from ..origin import tensors_digest
from .calibration import bundled_clips, clips_of
from .folding import fold
from .openvino_conversion import quantise, to_openvino
from .openvino_network import CompiledNetwork
from .openvino_store import stored_or_made
from .precision import native_bfloat16, resolve

__all__ = [
    "CompiledNetwork",
    "inference_form",
    "native_bfloat16",
    "resolve",
]

logger = logging.getLogger(__name__)

# network -> precision, engine, ... -> (state version, inference form); gone when the network is.
_Forms = dict[tuple[str, ...], tuple[int, FeatureExtractor]]
_prepared: weakref.WeakKeyDictionary[FeatureExtractor, _Forms] = weakref.WeakKeyDictionary()


def inference_form(network: FeatureExtractor, compute: ComputeOptions) -> FeatureExtractor:
    """Return the inference form of a plain network; :meth:`FeatureExtractor.prepared` tells."""
    precision, engine = resolve(compute.precision or "float32", compute.engine, network.device)
    clips = _own_clips(network, compute.calibration, precision)
    calibration = "bundled" if clips is None else tensors_digest([clips])
    key = (precision, engine, str(network.device), calibration)
    forms = _prepared.setdefault(network, {})
    version, form = forms.get(key, (-1, None))
    if form is None or version != network.state_version:
        if engine == "torch":
            form = fold(network, precision)
        else:
            form = _compiled(network, precision, clips, calibration)
        forms[key] = network.state_version, form
    return form


def _own_clips(
    network: FeatureExtractor, videos: Sequence[VideoSource] | None, precision: str
) -> torch.Tensor | None:
    """Return the clips of the user's own videos to calibrate with, None where none are given."""
    if videos is None:
        return None
    if precision != "int8":
        raise ValueError(
            f"calibration is given but precision is {precision!r}; only 'int8' is calibrated: "
            "leave it out, or pass precision='int8'"
        )
    return clips_of(videos, clip_len=network.config.clip_len, transform=network.transforms)


@torch.inference_mode(False)
def _compiled(
    network: FeatureExtractor, precision: str, clips: torch.Tensor | None, calibration: str
) -> CompiledNetwork:
    is_int8 = precision == "int8"
    clip_len, size = network.config.clip_len, network.config.input.crop_size

    def make() -> Any:
        # Nobody should wonder why the first video waits.
        what = f"{network.config.name} in {precision}"
        logger.warning("preparing %s for OpenVINO: this takes a while, once", what)
        model = to_openvino(fold(network, "float32"), clip_shape=(clip_len, size, size))
        if not is_int8:
            return model
        frames = bundled_clips(clip_len=clip_len, size=size) if clips is None else clips
        return quantise(model, network.transforms.normalize(frames))

    recipe = _recipe(network, calibration if is_int8 else None)
    model = stored_or_made(cache_home() / "openvino", recipe, make)
    return CompiledNetwork(network, model, precision=precision, recipe=recipe)


def _recipe(network: FeatureExtractor, calibration: str | None) -> dict[str, Any]:
    """Return everything that decides what the prepared model is."""
    # Importing nncf takes seconds, which a start from the store need not spend.
    packages = ["openvino", "nncf"] if calibration is not None else ["openvino"]
    versions = {name: importlib.metadata.version(name) for name in packages}
    versions |= {"c3dhub": __version__, "torch": torch.__version__}
    config = network.config.to_dict()
    return {
        "weights": network.state_digest(),
        "network": {
            name: config[name] for name in ("architecture", "options", "input", "clip_len")
        },
        "calibration": calibration,
        "versions": versions,
    }
