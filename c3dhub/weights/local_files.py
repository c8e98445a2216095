"""Weights that lie on this disk: where and what; bundled ones, and paths that users give."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..base.errors import CheckpointError
from ..base.files import sha256_of
from ..registry.config import CONFIG_FILE, WEIGHTS_FILE, ModelConfig
from ..registry.entries import ModelEntry
from ..registry.manifest import load_manifest, model_info

_PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".pkl")


@dataclass(frozen=True)
class LocalWeights:
    """A safetensors file on this disk and what belongs to it.

    Parameters
    ----------
    path: the safetensors file.
    config_path: the ``config.json`` beside it; None where ``model`` says it all.
    origin: where it came from: a URL, ``hf://...`` with the commit, or the path.
    model: name of the manifest's entry, None for files that are not in the manifest.
    known_sha256: the verified hash; None where nothing was there to verify against.
    """

    path: Path
    config_path: Path | None
    origin: str
    model: str | None = None
    known_sha256: str | None = None

    @cached_property
    def sha256(self) -> str:
        """The file's hash; a file that was not verified is hashed when this is first asked."""
        return self.known_sha256 or sha256_of(self.path)

    def read_config(self) -> ModelConfig:
        """Return how the network is built. Raises CheckpointError for a bad ``config.json``."""
        if self.config_path is not None:
            return ModelConfig.from_file(self.config_path)
        assert self.model is not None  # one of the two is always there
        return model_info(self.model).config


def use_bundled(entry: ModelEntry) -> LocalWeights:
    """Return the weights of a bundled model, verified; nothing is copied or written.

    Such files are a few megabytes, so they are hashed each time: a pin would need a place to write.

    Raises
    ------
    CheckpointError
        If the file is missing, cannot be read, or is not the one that the manifest names.
    """
    assert entry.bundled is not None
    path, expected = Path(entry.bundled.path), entry.bundled.sha256
    remedy = (
        "Install c3dhub again; where the model is one of your own manifest, correct its `bundled`"
    )
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot read the weights of {entry.name}, which come with c3dhub: "
            f"{error.strerror or error}. {remedy}"
        ) from error
    if actual != expected:
        raise CheckpointError(
            f"{path}: these are not the weights of {entry.name} that came with c3dhub:\n"
            f"  expected sha256 {expected}\n  actual sha256   {actual}\n{remedy}"
        )
    return LocalWeights(path, None, "bundled with its manifest", entry.name, expected)


def resolve_path(path: str | Path) -> LocalWeights:
    """Return the weights in a folder (model.safetensors + config.json) or a .safetensors file.

    A file needs ``config.json`` beside it, or a header whose ``model`` names a manifest entry. The
    hash is computed only when it is asked for.

    Raises
    ------
    CheckpointError
        If something is missing, or the file is not safetensors.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        _require(path, WEIGHTS_FILE, CONFIG_FILE)
        return LocalWeights(path / WEIGHTS_FILE, path / CONFIG_FILE, str(path))
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file or folder")
    if path.suffix.lower() != ".safetensors":
        hint = "it is a pickle, which could run code" if path.suffix.lower() in _PICKLES else ""
        raise CheckpointError(
            f"{path}: only .safetensors files are loaded{'; ' + hint if hint else ''}. Run "
            f"`c3dhub convert {path}` once, then load the model by the name that it prints"
        )
    header = read_header(path)
    config_path = path.with_name(CONFIG_FILE)
    if config_path.is_file():
        return LocalWeights(path, config_path, str(path))
    if header.get("model") in load_manifest():
        return LocalWeights(path, None, str(path), header["model"])
    raise CheckpointError(
        f"{path}: which network is it of? There is no {CONFIG_FILE} beside it and its header names "
        "no model of the manifest; put the config.json that was saved with it into the same folder"
    )


def read_header(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file. Raises CheckpointError where it is not one."""
    # Listing models and the cache works where no other package is installed.
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from error


def _require(folder: Path, *names: str) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder}: {' and '.join(missing)} is missing; a model's folder holds "
            f"{WEIGHTS_FILE} and {CONFIG_FILE}, as save_pretrained and `c3dhub convert -o` write"
        )
