"""Where crops lie, what they count, and that a network sees exactly those pixels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from make_video import Image, write_video
from torch import Tensor

import c3dhub
from c3dhub.clips.transforms import ClipTransform, resized_size
from c3dhub.extraction.predictions import softmax
from c3dhub.hub import create_model
from c3dhub.learning.datasets import VideoItem, VideoList
from c3dhub.learning.evaluation import Crops, CropsTransform
from c3dhub.networks import VideoNetwork
from c3dhub.registry.config import InputContract
from c3dhub.registry.manifest import model_info

PAPER = model_info("resnet50_kinetics").config.input
TORCHVISION = model_info("r3d_18_kinetics400_v1").config.input

sides = st.integers(32, 400)
contracts = st.sampled_from([PAPER, TORCHVISION])


def gradient(width: int, height: int, *, shift: int = 0) -> Image:
    """Return a uint8 (H, W, 3) picture whose red says the column and whose green the row."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, :, 0] = np.arange(width)[None] + shift
    image[:, :, 1] = np.arange(height)[:, None]
    return image


@given(sides, sides, contracts, st.sampled_from(["center", "three", "ten"]))
def test_crops_lie_inside_and_reach_both_ends(
    width: int, height: int, contract: InputContract, crops: Crops
) -> None:
    transform, crop = CropsTransform(contract, crops=crops), contract.crop_size
    h, w = resized_size(height, width, contract)
    places = transform.places(h, w)
    assert all(0 <= top <= h - crop and 0 <= left <= w - crop for top, left in places)
    center = CropsTransform(contract, crops="center").places(h, w)[0]
    assert places[len(places) // 2] == center
    if crops != "center":
        assert 0 in places[0]
        end = max(places)
        assert end[0] == h - crop if h > w else end[1] == w - crop
    mirrored = 2 if crops == "ten" else 1
    assert len(transform.weights) == mirrored * len(places)
    assert transform.weights.sum() == pytest.approx(1)


def test_three_crops_along_the_long_side_at_known_pixels() -> None:
    wide = torch.from_numpy(gradient(160, 112)[None])
    images = CropsTransform(PAPER, crops="three").resize(wide)
    assert images.shape == (1, 3, 112, 112, 3)
    assert images[0, :, 0, 0].tolist() == [[0, 0, 0], [24, 0, 0], [48, 0, 0]]
    assert images[0, :, -1, -1].tolist() == [[111, 111, 0], [135, 111, 0], [159, 111, 0]]
    tall = torch.from_numpy(gradient(112, 200)[None])
    images = CropsTransform(PAPER, crops="three").resize(tall)
    assert images[0, :, 0, 0].tolist() == [[0, 0, 0], [0, 44, 0], [0, 88, 0]]
    # torchvision's frames are higher than the crop: all three lie in the middle of the height.
    images = CropsTransform(TORCHVISION, crops="three").resize(gradient(171, 128)[None])
    assert images[0, :, 0, 0].tolist() == [[0, 8, 0], [30, 8, 0], [59, 8, 0]]


def test_ten_crops_at_known_pixels_and_mirrored() -> None:
    transform = CropsTransform(TORCHVISION, crops="ten")
    images = transform.resize(gradient(171, 128)[None])
    corners = [[0, 0], [59, 0], [30, 8], [0, 16], [59, 16]]
    assert images[0, :, 0, 0, :2].tolist() == corners
    views = transform.views(images[None])
    assert views.shape == (10, 1, 112, 112, 3)
    assert views[:5, 0, 0, 0, :2].tolist() == corners
    assert views[5:, 0, 0, 0, :2].tolist() == [[left + 111, top] for left, top in corners]
    assert transform.weights.tolist() == [0.1] * 10


def test_corners_that_coincide_are_computed_once_and_count_twice() -> None:
    transform = CropsTransform(PAPER, crops="ten")
    images = transform.resize(gradient(160, 112)[None])
    assert images[0, :, 0, 0, 0].tolist() == [0, 24, 48]
    assert transform.weights.tolist() == [0.2, 0.1, 0.2] * 2
    assert "two corners coincide" in transform.in_words
    assert "coincide" not in CropsTransform(TORCHVISION, crops="ten").in_words


@given(sides, sides, contracts)
def test_the_centre_crop_is_the_contract_itself(
    width: int, height: int, contract: InputContract
) -> None:
    frames = gradient(width % 200 + 20, height % 200 + 20)[None]
    one = CropsTransform(contract, crops="center").resize(frames)
    assert torch.equal(one[:, 0], ClipTransform(contract).resize(frames))


def test_views_keep_clips_together() -> None:
    transform = CropsTransform(PAPER, crops="three")
    clips = torch.stack([
        transform.resize(np.stack([gradient(160, 112, shift=10 * clip)] * 2)) for clip in range(2)
    ])  # fmt: skip
    assert clips.shape == (2, 2, 3, 112, 112, 3)
    assert transform.views(clips)[:, 0, 0, 0, 0].tolist() == [0, 24, 48, 10, 34, 58]


@pytest.fixture(scope="module")
def others() -> VideoNetwork:
    """Return a small network with torchvision's contract."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = create_model("resnet10", num_classes=7, width=8, device="cpu")
    network.config = dataclasses.replace(network.config, input=TORCHVISION)
    return network.eval().requires_grad_(False)


def all_views(frames: Tensor, contract: InputContract, crops: Crops) -> list[Tensor]:
    """Cut crops out of scaled frames (T, 3, H, W) in the plainest way, coinciding ones too."""
    h, w, crop = frames.shape[2], frames.shape[3], contract.crop_size
    top, left = round((h - crop) / 2), round((w - crop) / 2)
    if crops == "three":  # of a video wider than high
        places = [(top, 0), (top, left), (top, w - crop)]
    else:
        places = [(0, 0), (0, w - crop), (top, left), (h - crop, 0), (h - crop, w - crop)]
    cut = [frames[:, :, y : y + crop, x : x + crop] for y, x in places]
    return cut if crops == "three" else [*cut, *(view.flip(3) for view in cut)]


@pytest.mark.parametrize("crops", ["three", "ten"])
@pytest.mark.parametrize("contract", ["paper", "torchvision"])
def test_crops_of_a_video_agree_with_plain_computation(
    crops: Crops, contract: str, tiny: VideoNetwork, others: VideoNetwork, tmp_path: Path
) -> None:
    network = tiny if contract == "paper" else others
    pictures = [gradient(90, 60, shift=3 * number) for number in range(12)]
    path = write_video(tmp_path / "v.mov", pictures, codec="png")
    names = tuple(f"class {index}" for index in range(network.num_classes))
    data = VideoList((VideoItem(path, 1),), names)
    found = c3dhub.evaluate(data, model=network, crops=crops, clip_len=8, clip_stride=4)

    transform = ClipTransform(network.config.input)
    frames = transform.scale(np.stack(pictures)).permute(0, 3, 1, 2)
    means = []
    for window in ([0, 1, 2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 8, 9, 10, 11], [8, 9, 10, 11] * 2):
        views = all_views(frames[window], network.config.input, crops)
        images = torch.stack(views).permute(0, 1, 3, 4, 2)  # (V, T, H, W, 3)
        means.append(softmax(network(transform.normalize(images)).numpy()).mean(axis=0))
    expected = np.mean(means, axis=0)
    answer = found.answers[0]
    assert [p["index"] for p in answer.predictions] == np.argsort(-expected)[:5].tolist()
    scores = [p["score"] for p in answer.predictions]
    assert scores == pytest.approx(np.sort(expected)[::-1][:5], rel=1e-4)
    ranks = [int((row > row[1]).sum()) for row in means]
    assert found.clip.top1 == pytest.approx(np.mean([rank == 0 for rank in ranks]))
    assert answer.n_clips == 3
