"""From a video to class names: the mean of the softmax over clips."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from make_video import write_video

from c3dhub.extract import classify, extract_features
from c3dhub.extraction.predictions import softmax
from c3dhub.hub import create_model
from c3dhub.networks import VideoNetwork


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 40 numbered frames at 10 frames per second."""
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", 40, fps=10)


def test_classify_averages_the_softmax_over_clips(video: Path, tiny: VideoNetwork) -> None:
    logits = extract_features(video, model=tiny, stages=("logits",))["logits"]
    mean = softmax(logits).mean(axis=0)
    found = classify(video, model=tiny, topk=3)
    assert [p["index"] for p in found] == np.argsort(-mean)[:3].tolist()
    assert [p["score"] for p in found] == pytest.approx(np.sort(mean)[::-1][:3])
    assert {p["label"] for p in found} == {None}


def test_classify_names_classes_and_gives_clips_on_request(video: Path) -> None:
    torch.manual_seed(0)
    network = create_model("resnet10", num_classes=3, width=8, device="cpu")
    network.config = dataclasses.replace(network.config, classes=("run", "sit", "wave"))
    clips = classify(video, model=network, topk=3, per_clip=True)
    assert [clip["start_seconds"] for clip in clips] == pytest.approx([0.0, 1.6, 3.2])
    for clip in clips:
        assert {p["label"] for p in clip["predictions"]} == {"run", "sit", "wave"}
        assert sum(p["score"] for p in clip["predictions"]) == pytest.approx(1)
    with pytest.raises(ValueError, match="topk is 4; it must be from 1 to 3"):
        classify(video, model=network, topk=4)
    none = classify(video, model=network, topk=1, preset="paper2018", clip_len=40)
    assert none == []
