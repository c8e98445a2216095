"""The inference form of a network: the same function, prepared once, faster, not trainable.

On torch (``folding.py``) BatchNorm is folded into the convolutions and weights take the dtype of
the precision. On OpenVINO (``compiled.py``), which is faster on CPUs and the one to have int8, the
network is converted, quantised where asked, and kept on disk. The plain network stays as it is.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import weakref
from collections.abc import Sequence
from typing import Any

import torch

from ...base.choices import Engine, Precision
from ...base.home import cache_home
from ...base.version import __version__
from ...video import VideoSource
from ..extracting import FeatureExtractor
from ..options import ComputeOptions
from . import calibration as calibration_clips
from .compiled import CompiledNetwork
from .conversion import quantise, to_openvino
from .folding import fold
from .precision import native_bfloat16, resolve
from .prepared_models import stored_or_made

__all__ = [
    "CompiledNetwork",
    "Engine",
    "Precision",
    "inference_form",
    "native_bfloat16",
    "resolve",
    "tensors_digest",
]

logger = logging.getLogger(__name__)

# network -> precision, engine, ... -> (state version, inference form); gone when the network is.
_Forms = dict[tuple[str, ...], tuple[int, FeatureExtractor]]
_prepared: weakref.WeakKeyDictionary[FeatureExtractor, _Forms] = weakref.WeakKeyDictionary()


def inference_form(
    network: FeatureExtractor,
    *,
    precision: Precision | None = None,
    engine: Engine | None = None,
    calibration: Sequence[VideoSource] | None = None,
) -> FeatureExtractor:
    """Return the inference form of ``network``, made on the first call and kept with it.

    Parameters
    ----------
    network: stays untouched. An inference form is returned as it is when ``precision`` is None.
    precision: ``"float32"`` (default) stays within 1e-5 of the plain network; ``"bfloat16"``;
        ``"float16"`` on CUDA and MPS only; ``"int8"`` on CPUs, by OpenVINO; ``"auto"``: bfloat16
        where the hardware computes it natively, else float32.
    engine: ``"torch"`` or ``"openvino"`` (CPUs, needs ``c3dhub[openvino]``); None is OpenVINO for
        int8, else torch. OpenVINO takes seconds to prepare a network for the first time; the result
        is kept in ``C3DHUB_HOME``, and the next process has it at once.
    calibration: int8 alone: videos that are like those to come, to measure the ranges with; None
        takes the bundled clips, so that all machines get the same features.

    A change of the weights makes a new form, except one made through ``.data``, which torch does
    not count. Raises ValueError for what this device, hardware or installation cannot serve.
    """
    if network.inference_precision is not None:
        network.check_same_form(ComputeOptions(precision=precision, engine=engine))
        return network
    name, chosen = resolve(precision or "float32", engine, network.device)
    if calibration is not None and name != "int8":
        raise ValueError(
            f"calibration is given but precision is {name!r}; only 'int8' is calibrated: leave it "
            "out, or pass precision='int8'"
        )
    clips = _calibration_clips(network, calibration) if calibration is not None else None
    key = (
        name,
        chosen,
        str(network.device),
        "bundled" if clips is None else tensors_digest([clips]),
    )
    forms = _prepared.setdefault(network, {})
    version, form = forms.get(key, (-1, None))
    if form is None or version != network.state_version:
        form = fold(network, name) if chosen == "torch" else _compiled(network, name, clips, key[3])
        forms[key] = network.state_version, form
    return form


@torch.inference_mode(False)
def _compiled(
    network: FeatureExtractor, precision: str, clips: torch.Tensor | None, calibration: str
) -> CompiledNetwork:
    is_int8 = precision == "int8"

    def make() -> Any:
        # Nobody should wonder why the first video waits.
        what = f"{network.config.name} in {precision}"
        logger.warning("preparing %s for OpenVINO: this takes a while, once", what)
        shape = (network.config.clip_len, *(network.config.input.crop_size,) * 2)
        model = to_openvino(fold(network, "float32"), clip_shape=shape)
        if not is_int8:
            return model
        frames = _calibration_clips(network, None) if clips is None else clips
        return quantise(model, network.transforms.normalize(frames))

    recipe = _recipe(network, calibration if is_int8 else None)
    model = stored_or_made(cache_home() / "openvino", recipe, make)
    return CompiledNetwork(network, model, precision=precision, recipe=recipe)


def _calibration_clips(
    network: FeatureExtractor, videos: Sequence[VideoSource] | None
) -> torch.Tensor:
    config = network.config
    if videos is not None:
        return calibration_clips.clips_of(
            videos, clip_len=config.clip_len, transform=network.transforms
        )
    n_clips = calibration_clips.BUNDLED_CLIPS
    return calibration_clips.bundled_clips(
        n_clips, clip_len=config.clip_len, size=config.input.crop_size
    )


def _recipe(network: FeatureExtractor, calibration: str | None) -> dict[str, Any]:
    """Return everything that decides what the prepared model is."""
    # Importing nncf takes seconds, which a start from the store need not spend.
    packages = ["openvino", "nncf"] if calibration is not None else ["openvino"]
    versions = {name: importlib.metadata.version(name) for name in packages}
    versions |= {"c3dhub": __version__, "torch": torch.__version__}
    config = network.config.to_dict()
    return {
        "weights": tensors_digest([tensor for _, tensor in sorted(network.state_dict().items())]),
        "network": {
            name: config[name] for name in ("architecture", "options", "input", "clip_len")
        },
        "calibration": calibration,
        "versions": versions,
    }


def tensors_digest(tensors: Sequence[torch.Tensor]) -> str:
    """Return a hash of shapes, dtypes and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        array = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        digest.update(array.data)
    return digest.hexdigest()
