"""What a run begins with: the network, its head, and the lists of videos."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_data import CLASSES, write_videos

from c3dhub.base.errors import DatasetError
from c3dhub.learning.training.prepare import (
    describe,
    prepare_network,
    prepare_videos,
    training_part,
)


def test_an_architecture_by_name_needs_no_weights() -> None:
    start = prepare_network("resnet10", classes=CLASSES, scratch=True, seed=1)
    again = prepare_network("resnet10", classes=CLASSES, scratch=True, seed=1)
    other = prepare_network("resnet10", classes=CLASSES, scratch=True, seed=2)
    assert torch.equal(
        start.network.state_dict()["fc.weight"], again.network.state_dict()["fc.weight"]
    )
    assert not torch.equal(
        start.network.state_dict()["fc.weight"], other.network.state_dict()["fc.weight"]
    )


def test_videos_are_held_out_where_none_are_given(tmp_path: Path) -> None:
    folder = write_videos(tmp_path / "data", each=2)
    train, val = prepare_videos(folder, None, held_out=0.5, seed=0)
    assert val is not None
    assert (len(train), len(val)) == (3, 3)
    assert not {item.path for item in train.items} & {item.path for item in val.items}
    everything, none = prepare_videos(training_part(folder), None, held_out=0, seed=0)
    assert (len(everything), none) == (6, None)
    with pytest.raises(DatasetError, match="in the training list too"):
        prepare_videos(folder, folder, held_out=0, seed=0)


def test_a_list_is_the_same_wherever_its_folder_lies(tmp_path: Path) -> None:
    here = training_part(write_videos(tmp_path / "here", each=1))
    there = training_part((tmp_path / "here").rename(tmp_path / "there"))
    assert describe(here) == describe(there)
    assert describe(here.pick([0, 1])) != describe(here)
    assert describe(None) is None
