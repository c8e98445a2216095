"""On a GPU the same numbers come out; run with ``-m cuda`` where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from make_video import write_video

from c3dhub.extract import extract_features, extract_many
from c3dhub.extraction.features import Features
from c3dhub.hub import create_model

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize(
    ("precision", "bound"), [("float32", 1e-3), ("bfloat16", 0.03), ("float16", 0.01)]
)
@pytest.mark.parametrize("pool", [True, False])
def test_features_agree_with_the_cpu(
    tmp_path: Path, precision: str, bound: float, pool: bool
) -> None:
    torch.manual_seed(0)
    network = create_model("resnet18", num_classes=5, width=16, device="cpu").eval()
    video = write_video(tmp_path / "v.mp4", 200, size=(160, 120))
    options = {"stages": ("layer2", "avgpool", "logits"), "pool": pool}
    exact = extract_features(video, model=network, **options)  # type: ignore[arg-type]
    found = extract_features(
        video,
        model=network,
        precision=precision,  # type: ignore[arg-type]
        device="cuda",
        batch_size=5,
        **options,  # type: ignore[arg-type]
    )
    for stage in ("layer2", "avgpool", "logits"):
        error = np.linalg.norm(found[stage] - exact[stage]) / np.linalg.norm(exact[stage])
        assert error < bound, stage
    assert found.provenance["device"] == "cuda"


def test_batches_under_way_do_not_mix(tmp_path: Path) -> None:
    network = create_model("resnet10", num_classes=5, width=8, device="cuda").eval()
    videos = [write_video(tmp_path / f"{n}.mp4", 16 * n, size=(128, 128)) for n in (9, 1, 4)]
    for video, features in extract_many(videos, model=network, batch_size=2):
        alone = extract_features(video, model=network, batch_size=1)
        assert isinstance(features, Features)
        np.testing.assert_allclose(features.pooled, alone.pooled, rtol=1e-3, atol=1e-4)
