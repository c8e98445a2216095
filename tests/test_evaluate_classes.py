"""The arithmetic of accuracies, and which class is which output."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c3dhub.base.errors import DatasetError
from c3dhub.learning.evaluation import Accuracy, label_ranks
from c3dhub.learning.evaluation.class_outputs import outputs_of_classes


def matched(wanted: list[str], known: list[str] | None, count: int | None = None) -> list[int]:
    n = len(known) if known is not None else count
    assert n is not None
    return list(outputs_of_classes(wanted, known, num_classes=n, origin="data"))


def test_names_are_matched_whatever_their_order() -> None:
    assert matched(["run", "sit"], ["sit", "walk", "run"]) == [2, 0]
    assert matched(["Air_Drumming", "high-jump"], ["high jump", "air drumming"]) == [1, 0]
    # Where the network itself tells them apart by spelling, only the very name will do.
    assert matched(["a_b", "a b"], ["a b", "a_b"]) == [1, 0]
    with pytest.raises(DatasetError, match=r"1 of its classes are none of the network's 2"):
        matched(["A b"], ["a b", "a_b"])


def test_names_that_do_not_match_are_listed_with_near_ones() -> None:
    with pytest.raises(DatasetError) as caught:
        matched(["jumping", "sitt", "xyz"], ["sit", "jump", "run"])
    assert str(caught.value) == (
        "data: 3 of its classes are none of the network's 3 (sit, jump, run): "
        "'jumping' Did you mean jump? 'sitt' Did you mean sit? 'xyz'. "
        "Evaluate a network that was trained on these classes, or rename them"
    )
    many = [f"n{index}" for index in range(14)]
    with pytest.raises(DatasetError, match=r"14 of its classes .*'n9'; and 4 more"):
        matched(many, ["walk"])
    with pytest.raises(DatasetError, match="'a b' and 'a_b' both match the network's 'A b'"):
        matched(["a b", "a_b"], ["A b"])


def test_without_names_labels_are_outputs_and_counts_must_agree() -> None:
    assert matched(["x", "y"], None, 2) == [0, 1]
    with pytest.raises(DatasetError, match=r"data has 2 classes and the network, .* 3 outputs"):
        matched(["x", "y"], None, 3)


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1), st.integers(0, 3))
def test_ranks_are_places_in_the_order_of_the_scores(rows: list[list[int]], label: int) -> None:
    scores = np.array(rows, np.float64)
    order = np.argsort(-scores, axis=1, kind="stable")
    expected = [row.tolist().index(label) for row in order]
    assert label_ranks(scores, np.full(len(rows), label)).tolist() == expected


def test_accuracy_counts_ranks() -> None:
    ranks = np.array([0, 4, 5, 0])
    found = Accuracy.of(ranks, num_classes=6)
    assert (found.n, found.top1, found.top5, found.average) == (4, 0.5, 0.75, 0.625)
    assert Accuracy.of(ranks, num_classes=4).average is None
    with pytest.raises(ValueError, match="ranks is empty"):
        Accuracy.of(ranks[:0], num_classes=6)
