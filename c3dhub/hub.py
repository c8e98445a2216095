"""name -> network: the one place where manifest, weights and architectures meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import torch

from .base.choices import Engine, Precision
from .base.devices import resolve_device
from .base.errors import UnknownModelError, near_matches
from .extraction.engines import resolve
from .extraction.feature_extractor import FeatureExtractor
from .extraction.options import ComputeOptions
from .networks import ARCHITECTURES, VideoNetwork, build
from .registry.config import InputContract, ModelConfig
from .registry.manifest import load_manifest, model_info
from .video import VideoSource
from .weights import LocalWeights, ensure, resolve_hub, resolve_path
from .weights.assembling import assemble

# The 2018 release's input contract, for architectures that no model of the manifest is like.
_PAPER_2018 = InputContract(
    max_value=255.0,
    mean=(114.7748, 107.7354, 99.4750),
    std=(1.0, 1.0, 1.0),
    resize_mode="short_side",
    resize_size=(112,),
    antialias=True,
)
_FILE_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar")


@overload
def load(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    precision: None = None,
    engine: Engine | None = None,
    calibration: Sequence[VideoSource] | None = None,
    local_files_only: bool = False,
    progress: bool | None = None,
) -> VideoNetwork: ...


@overload
def load(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    precision: Precision,
    engine: Engine | None = None,
    calibration: Sequence[VideoSource] | None = None,
    local_files_only: bool = False,
    progress: bool | None = None,
) -> FeatureExtractor: ...


def load(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    engine: Engine | None = None,
    calibration: Sequence[VideoSource] | None = None,
    local_files_only: bool = False,
    progress: bool | None = None,
) -> FeatureExtractor:
    """Return a pretrained network, frozen and in eval mode.

    Parameters
    ----------
    name: a name of :func:`c3dhub.list_models`; ``"hf://org/repo@revision"``; a folder with
        ``model.safetensors`` and ``config.json``; or a ``.safetensors`` file.
    device: None takes CUDA, else MPS, else the CPU.
    precision: None gives the plain module, ready for fine-tuning after ``requires_grad_(True)``.
        A precision gives the inference form: folded, faster, not trainable.
    engine, calibration: of the inference form, see :class:`c3dhub.ComputeOptions`.
    local_files_only: True never touches the network.
    progress: show downloads on stderr; None does so where stderr is a terminal.

    Raises
    ------
    UnknownModelError: no such model; near matches are named.
    ValueError: the device or precision cannot be used here.
    WeightsUnavailableError: the weights are not here and cannot be fetched; the steps are listed.
    CheckpointError: a file has the wrong hash, keys or shapes.
    """
    place = resolve_device(device)
    if precision is None and (engine is not None or calibration is not None):
        raise ValueError(
            "engine and calibration belong to the inference form; give a precision with them, such "
            "as 'auto'"
        )
    if precision is not None:
        resolve(precision, engine, place)  # before anything is fetched
    config, weights = _locate(name, local_files_only=local_files_only, progress=progress)
    network = assemble(config, weights, device=place)
    if precision is None:
        return network
    compute = ComputeOptions(precision=precision, engine=engine, calibration=calibration)
    return network.prepared(compute)


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int = 3,
    clip_len: int | None = None,
    shortcut: str | None = None,
    width: int | None = None,
    device: str | torch.device | None = None,
) -> VideoNetwork:
    """Return a network with random weights, trainable and in training mode.

    Parameters
    ----------
    name: an architecture (``"resnet50"``) or a model, whose architecture is taken.
    num_classes: length of the logits; None takes 400 (Kinetics) or the model's own.
    in_channels: channels of a clip. With other than 3, feed tensors: videos have 3.
    clip_len: frames that :func:`extract_features` takes per clip; None is 16 or the model's own.
    shortcut: ``"A"`` or ``"B"`` for ResNets; None is the architecture's own.
    width: channels of the first stage for ResNets; None is 64.
    device: None takes CUDA, else MPS, else the CPU.

    Raises UnknownModelError for an unknown name, ValueError for an option that the architecture
    does not have. Seed it with ``torch.manual_seed``.
    """
    base = _fresh_config(name)
    wanted = {"shortcut": shortcut, "width": width}
    options = {option: value for option, value in wanted.items() if value is not None}
    own_classes = num_classes is None or num_classes == base.num_classes
    config = replace(
        base,
        num_classes=base.num_classes if num_classes is None else num_classes,
        clip_len=base.clip_len if clip_len is None else clip_len,
        input=_with_channels(base.input, in_channels),
        in_channels=in_channels,
        options={**base.options, **options},
        classes=base.classes if own_classes else None,
        provenance=None,  # random weights are made from nothing
    )
    with resolve_device(device):
        return build(config)


def from_pretrained(
    name: str | Path,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    device: str | torch.device | None = None,
) -> VideoNetwork:
    """Load a folder, ``org/repo`` on the Hub or a model's name, as huggingface_hub's mixin does."""
    path = Path(name)
    if isinstance(name, str) and not path.exists() and name.count("/") == 1:
        reference = f"hf://{name}" if revision is None else f"hf://{name}@{revision}"
        return load(reference, device=device, local_files_only=local_files_only)
    if revision is not None:
        raise ValueError(
            f"revision is {revision!r}, but {name} is no repository on the Hub; only those have "
            "revisions"
        )
    return load(name, device=device, local_files_only=local_files_only)


def _locate(
    name: str | Path, *, local_files_only: bool, progress: bool | None
) -> tuple[ModelConfig, LocalWeights]:
    """Return the config and the weight file that ``name`` stands for, fetched where needed."""
    if not isinstance(name, (str, Path)):
        raise TypeError(f"name is {name!r}; it must be a model's name, a path or hf://org/repo")
    if isinstance(name, str) and name.startswith("hf://"):
        weights = resolve_hub(name, local_files_only=local_files_only, progress=progress)
        return weights.read_config(), weights
    if name not in load_manifest() and _is_path(name):
        weights = resolve_path(name)
        return weights.read_config(), weights
    if name in ARCHITECTURES:
        raise UnknownModelError(
            f"{name!r} is an architecture, not a pretrained model; "
            f"c3dhub.create_model({name!r}) makes one with random weights."
            f"{near_matches(str(name), load_manifest())}"
        )
    entry = model_info(str(name))
    found = ensure(entry, local_files_only=local_files_only, progress=progress)
    return entry.config, found


def _is_path(name: str | Path) -> bool:
    if isinstance(name, Path) or (name and Path(name).exists()):
        return True
    return "/" in name or "\\" in name or name.endswith(_FILE_SUFFIXES)


def _fresh_config(name: str) -> ModelConfig:
    """Return the config of a model, or of an architecture with the contract of its release."""
    if not isinstance(name, str):
        raise TypeError(f"name is {name!r}; it must be text such as 'resnet50'")
    entries = load_manifest()
    if name in entries:
        return entries[name].config
    if name not in ARCHITECTURES:
        known = [*ARCHITECTURES, *entries]
        raise UnknownModelError(
            f"no architecture or model is called {name!r}.{near_matches(name, known)} "
            "c3dhub.networks.ARCHITECTURES and `c3dhub list` show all names."
        )
    # Architectures that no released model uses take the contract of the nearest release.
    same = [e for e in entries.values() if e.config.architecture == name]
    family = name.rstrip("0123456789")
    like = [e for e in entries.values() if e.config.architecture.rstrip("0123456789") == family]
    contract = next((entry.config.input for entry in [*same, *like]), _PAPER_2018)
    return ModelConfig(
        name=name,
        architecture=name,
        num_classes=400,
        clip_len=16,
        input=contract,
    )


def _with_channels(contract: InputContract, channels: int) -> InputContract:
    """Return the contract for another number of channels: the mean over RGB for each of them."""
    if channels == len(contract.mean):
        return contract
    return replace(
        contract,
        mean=(sum(contract.mean) / len(contract.mean),) * channels,
        std=(sum(contract.std) / len(contract.std),) * channels,
    )
