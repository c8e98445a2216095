"""Where crops lie, what they show, and who draws which random numbers."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c3dhub.learning.datasets import Augmentation
from c3dhub.learning.datasets.augmentation import PAPER_SCALES, POSITIONS, Box, Cut, Position
from c3dhub.learning.datasets.random_numbers import epoch_order, global_batches, numbers_for, share
from c3dhub.learning.datasets.training_clips import cut_frame
from c3dhub.registry.config import InputContract

# How fast the machine is must not matter.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAPER = InputContract(255.0, (0.0,) * 3, (1.0,) * 3, "short_side", (16,), True, crop_size=16)
EXACT = InputContract(1.0, (0.0,) * 3, (1.0,) * 3, "exact", (20, 30), False, crop_size=16)
CONTRACTS = st.sampled_from([PAPER, EXACT])
SIDES = st.integers(16, 200)
CUTS = st.builds(Cut, st.sampled_from(PAPER_SCALES), st.sampled_from(POSITIONS), st.booleans())


def gradient(height: int, width: int) -> np.ndarray:
    """Return a picture that tells where it is: red is the column, green the row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.zeros_like(rows)], axis=2).astype(np.uint8)


def test_the_papers_numbers() -> None:
    augmentation = Augmentation()
    assert augmentation.scales == pytest.approx([1, 0.8409, 0.7071, 0.5946, 0.5], abs=1e-4)
    assert len(augmentation.positions) == 5
    assert augmentation.flip == 0.5


@UNHURRIED
@given(SIDES, SIDES, CUTS, CONTRACTS)
def test_boxes_lie_inside_the_frame(
    height: int, width: int, cut: Cut, contract: InputContract
) -> None:
    box = cut.box(height, width, contract)
    assert 0 <= box.top <= height - box.height
    assert 0 <= box.left <= width - box.width
    assert min(box.height, box.width) >= 1
    if "top" in cut.position:
        assert box.top == 0
    if "bottom" in cut.position:
        assert box.top + box.height == height
    if "left" in cut.position:
        assert box.left == 0
    if "right" in cut.position:
        assert box.left + box.width == width
    if cut.position == "center":
        assert abs(2 * box.top + box.height - height) <= 1
        assert abs(2 * box.left + box.width - width) <= 1


@UNHURRIED
@given(SIDES, SIDES, CUTS)
def test_boxes_are_squares_where_the_contract_keeps_the_shape(
    height: int, width: int, cut: Cut
) -> None:
    box = cut.box(height, width, PAPER)
    assert box.height == box.width == math.floor(min(height, width) * cut.scale)


@UNHURRIED
@given(SIDES, SIDES, CUTS)
def test_boxes_become_squares_where_the_contract_does_not(
    height: int, width: int, cut: Cut
) -> None:
    box = cut.box(height, width, EXACT)
    assert abs(box.height * 20 / height - 20 * cut.scale) <= 20 / height
    assert abs(box.width * 30 / width - 20 * cut.scale) <= 30 / width


def test_boxes_by_hand() -> None:
    assert Cut(1.0, "center", False).box(240, 320, PAPER) == Box(0, 40, 240, 240)
    assert Cut(0.5, "bottom_right", False).box(240, 320, PAPER) == Box(120, 200, 120, 120)
    assert Cut(1.0, "top_right", False).box(200, 300, EXACT) == Box(0, 100, 200, 200)
    with pytest.raises(ValueError, match="32 times the other"):
        Cut(1.0, "center", False).box(1000, 10, PAPER)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("contract", [PAPER, EXACT], ids=["paper", "exact"])
def test_crops_show_that_part_of_the_frame(position: Position, contract: InputContract) -> None:
    image = gradient(120, 180)
    for is_flipped in (False, True):
        cut = Cut(0.5, position, is_flipped)
        box = cut.box(120, 180, contract)
        assert (box.height, box.width) == (60, 60)
        crop = cut_frame(image, cut, contract).astype(int)
        assert crop.shape == (16, 16, 3)
        assert crop.flags.c_contiguous
        red, green = (crop[:, :, channel] for channel in (0, 1))
        red = red[:, ::-1] if is_flipped else red
        # A pixel of the crop is the mean over 3.75 of the frame: its centre tells where.
        centres = (np.arange(16) + 0.5) * 60 / 16 - 0.5
        assert np.abs(red - (box.left + centres)).max() <= 1.5
        assert np.abs(green - (box.top + centres)[:, None]).max() <= 1.5


def test_a_part_of_the_right_size_is_not_scaled() -> None:
    image = gradient(32, 40)
    crop = cut_frame(image, Cut(0.5, "top_right", False), PAPER)
    assert np.array_equal(crop, image[:16, 24:])


@UNHURRIED
@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=3, max_size=3))
def test_every_draw_is_one_of_the_choices(numbers: list[float]) -> None:
    cut = Augmentation().draw(numbers)
    assert cut.scale in PAPER_SCALES
    assert cut.position in POSITIONS
    assert cut.is_flipped == (numbers[2] < 0.5)


def test_draws_are_uniform() -> None:
    cuts = [Augmentation().draw(numbers_for(0, 0, i, count=3)) for i in range(2000)]
    for found in (Counter(c.scale for c in cuts), Counter(c.position for c in cuts)):
        assert len(found) == 5
        assert all(330 < count < 470 for count in found.values())
    assert 900 < sum(cut.is_flipped for cut in cuts) < 1100


def test_switched_off() -> None:
    off = Augmentation(scales=(1.0,), positions=("center",), flip=0)
    assert {off.draw(numbers_for(0, 0, i, count=3)) for i in range(50)} == {
        Cut(1.0, "center", False)
    }
    assert Augmentation(flip=1).draw([0, 0, 0.999]).is_flipped


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": ()}, "scales is"),
        ({"scales": (0.0,)}, "above 0 and at most 1"),
        ({"scales": (1.5,)}, "above 0 and at most 1"),
        ({"positions": ()}, "positions is"),
        ({"positions": ("middle",)}, "must hold some of center, top_left"),
        ({"flip": 2}, "flip is 2; it must be a probability"),
        ({"flip": float("nan")}, "flip is nan"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Augmentation(), **options)  # type: ignore[arg-type]


def test_numbers_belong_to_seed_epoch_and_position() -> None:
    own = numbers_for(3, 5, 7, count=4)
    assert own == numbers_for(3, 5, 7, count=4)
    others = [numbers_for(*key, count=4) for key in ((4, 5, 7), (3, 6, 7), (3, 5, 8), (5, 3, 7))]
    assert all(not set(own) & set(other) for other in others)
    assert all(0 <= number < 1 for number in own)


@UNHURRIED
@given(st.integers(0, 200), st.integers(0, 2**70), st.integers(0, 1000), st.integers(1, 50))
def test_an_epoch_has_every_video_once(n: int, seed: int, epoch: int, size: int) -> None:
    order = epoch_order(n, seed=seed, epoch=epoch)
    batches = global_batches(order, batch_size=size)
    assert sorted(p for batch in batches for p in batch) == list(range(n))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert all(batches)


def test_epochs_have_orders_of_their_own() -> None:
    orders = {tuple(epoch_order(50, seed=seed, epoch=e)) for seed in (0, 1) for e in range(5)}
    assert len(orders) == 10


@UNHURRIED
@given(st.lists(st.integers(), max_size=40), st.integers(1, 9))
def test_the_shares_of_all_processes_in_order_are_the_batch(
    batch: list[int], world_size: int
) -> None:
    shares = [share(batch, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert [position for part in shares for position in part] == batch
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
