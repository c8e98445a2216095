"""What every test shares: a cache of its own, a small network, no time limits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from c3dhub.hub import create_model
from c3dhub.networks import VideoNetwork

# A machine that is busy is not a bug.
settings.register_profile("c3dhub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("c3dhub")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's cache, the Hub and each other."""
    monkeypatch.setenv("C3DHUB_HOME", str(tmp_path_factory.mktemp("c3dhub_home")))
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf_home")))
    for name in ("C3DHUB_MANIFEST", "C3DHUB_OFFLINE", "HF_HUB_OFFLINE", "C3DHUB_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the cache folder of this test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("C3DHUB_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny() -> VideoNetwork:
    """Return a frozen ResNet-10 with 8 channels and 5 classes: quick, random, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model("resnet10", num_classes=5, width=8, device="cpu")
    return network.eval().requires_grad_(False)
