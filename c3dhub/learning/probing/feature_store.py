"""Frozen features on disk: one file for each video, made once.

::

    $C3DHUB_HOME/features/<ab>/<key>.safetensors     what Features.save writes

The key is a hash of everything that decides the content: the video's bytes (not its name or time),
the weights, how clips are cut and scaled, precision, engine, stages, version. So a file is never
out of date: what changed has another key. Each file also holds a hash of its own arrays; one that
does not agree with it, or cannot be read, is made anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...base.errors import FeaturesError
from ...base.version import __version__
from ...clips.rule import ClipRule
from ...extraction.clip_network import ClipNetwork
from ...extraction.features import Features, load_features
from ...extraction.options import ExtractOptions

_FORMAT = 1
_ARRAYS = "arrays_sha256"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureStore:
    """Features below ``root``, made as ``recipe`` says.

    Parameters
    ----------
    root: the folder; it need not exist.
    recipe: what decides the features beside the video and the clip rule, see :func:`recipe_of`.
    """

    root: Path
    recipe: Mapping[str, Any]

    def path(self, sha256: str, rule: ClipRule) -> Path:
        """Return the file for a video with this content, cut by this rule."""
        whole = {"video": sha256, "rule": rule.to_dict(), **self.recipe}
        key = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:40]
        return self.root / key[:2] / f"{key}.safetensors"

    def read(self, sha256: str, rule: ClipRule) -> Features | None:
        """Return what is stored, None where there is nothing or a damaged file."""
        path = self.path(sha256, rule)
        if not path.exists():
            return None
        try:
            features = load_features(path)
        except FeaturesError as error:
            logger.info("%s: made anew", error)
            return None
        if features.provenance.get(_ARRAYS) != _digest(features):
            logger.info("%s: its arrays are not those that were written; made anew", path)
            return None
        return features

    def write(self, features: Features, rule: ClipRule) -> None:
        """Keep features under the content that was read for them, not under what is there now.

        Raises OSError or FeaturesError where the folder cannot be written.
        """
        sha256 = features.provenance.get("source", {}).get("sha256")
        if sha256 is None:  # the video was removed while it was read
            return
        path = self.path(sha256, rule)
        path.parent.mkdir(parents=True, exist_ok=True)
        noted = {**features.provenance, _ARRAYS: _digest(features)}
        replace(features, provenance=noted).save(path)


def recipe_of(form: ClipNetwork, options: ExtractOptions) -> dict[str, Any]:
    """Return everything but video and clip rule that decides the features of an inference form."""
    config = form.config.to_dict()
    return {
        "format": _FORMAT,
        "c3dhub": __version__,
        "weights": form.identity(),
        "network": {name: config[name] for name in ("architecture", "options", "input")},
        "precision": form.inference_precision,
        "engine": form.inference_engine,
        "device": form.device.type,
        "stages": tuple(options.stages),
        "decode": options.decode,
    }


def _digest(features: Features) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(features.to_numpy().items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
