"""What each precision costs, on real footage, for the networks that people use.

Weights are the deterministic ones of the golden outputs: the released files cannot be had in tests.
The bounds are those that README and docs/speed.md promise.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from footage import footage
from golden_weights import deterministic_state, released_files

from c3dhub.extract import extract_features
from c3dhub.extraction.engines import precision
from c3dhub.extraction.feature_extractor import FeatureExtractor
from c3dhub.extraction.options import ComputeOptions
from c3dhub.hub import create_model

NETWORKS = ("resnet-18", "resnet-34", "resnet-50", "resnext-101")
STAGES = ("layer2", "layer4", "avgpool", "logits")


def load_golden(name: str) -> FeatureExtractor:
    """Return a released network with its deterministic weights."""
    network = create_model(f"{name.replace('-', '')}_kinetics", device="cpu").eval()
    state = deterministic_state(released_files()[f"{name}-kinetics.pth"].keys)
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(key.endswith("num_batches_tracked") for key in missing)
    return network.requires_grad_(False)


def features_of(network: FeatureExtractor) -> dict[str, np.ndarray]:
    """Return the pooled features of the first second of every video: stage -> (n, D)."""
    found = [extract_features(path, model=network, stages=STAGES, end=1.1) for path in footage()]
    return {name: np.concatenate([features[name] for features in found]) for name in STAGES}


def relative_l2(a: np.ndarray, b: np.ndarray) -> float:
    """Return the worst relative L2 error of any row."""
    return float((np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)).max())


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the smallest cosine of any row."""
    products = (a * b).sum(1)
    return float((products / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def test_the_footage_is_there() -> None:
    assert len(footage()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_precisions_stay_within_their_bounds(name: str) -> None:
    network = load_golden(name)
    exact = features_of(network)
    assert len(exact["avgpool"]) >= 6
    if precision.native_bfloat16(torch.device("cpu")):
        rounded = features_of(network.prepared(ComputeOptions(precision="bfloat16")))
        assert max(relative_l2(rounded[stage], exact[stage]) for stage in STAGES) < 0.01
    pytest.importorskip("nncf")
    if "BF16" in precision.openvino_capabilities():
        form = network.prepared(ComputeOptions(precision="bfloat16", engine="openvino"))
        rounded = features_of(form)
        assert max(relative_l2(rounded[stage], exact[stage]) for stage in STAGES) < 0.01
    quantised = features_of(network.prepared(ComputeOptions(precision="int8")))
    for stage in ("layer2", "layer4", "avgpool"):
        assert cosine(quantised[stage], exact[stage]) >= 0.999, stage
    assert cosine(quantised["logits"], exact["logits"]) >= 0.998
