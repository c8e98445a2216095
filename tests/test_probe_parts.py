"""The parts of a probe: groups and folds, the choice of a setting, the figures."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, cross_val_score

from c3dhub.base.errors import DatasetError
from c3dhub.learning.datasets import VideoItem, VideoList
from c3dhub.learning.probing import classifiers
from c3dhub.learning.probing.folds import Fold, group_numbers, plan_folds
from c3dhub.learning.probing.probe_result import ProbeResult
from c3dhub.learning.probing.train_and_test import with_groups

# Groups and folds


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [(r"_g(\d+)_", ["7", "12"]), (r"(?P<x>v).*(?P<group>\d)\.", ["1", "2"]), ("^..", ["v_", "v_"])],
)
def test_groups_come_from_file_names(pattern: str, groups: list[str]) -> None:
    paths = [Path("/any_g1_/v_g7_c1.avi"), Path("v_g12_c2.avi")]
    videos = VideoList(tuple(VideoItem(path, 0) for path in paths), ("a",))
    assert [item.group for item in with_groups(videos, pattern).items] == groups


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=8, max_size=40),
    groups=st.lists(st.integers(0, 7), min_size=40, max_size=40),
    grouped=st.booleans(),
    seed=st.integers(0, 5),
)
def test_every_video_is_predicted_once_and_groups_stay_whole(
    labels: list[int], groups: list[int], grouped: bool, seed: int
) -> None:
    items = tuple(
        VideoItem(Path(f"{i}.mp4"), label, group=str(groups[i]) if grouped else None)
        for i, label in enumerate(labels)
    )
    videos = VideoList(items, tuple("abcd"))
    try:
        folds = plan_folds(videos, folds=None, leave_one_group_out=False, seed=seed)
    except DatasetError:
        return
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested.tolist()) == list(range(len(labels)))
    numbers, truth = group_numbers(videos), np.array(labels)
    for fold in folds:
        assert set(fold.train.tolist()) | set(fold.test.tolist()) == set(range(len(labels)))
        assert not set(numbers[fold.train]) & set(numbers[fold.test])
        assert set(truth[fold.test]) <= set(truth[fold.train])


# Classifiers


def random_rows(n: int = 60, d: int = 20) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    rows = rng.normal(size=(n, d)).astype(np.float32)
    rows[:, :3] += 2 * np.eye(3)[labels]
    return rows, labels.astype(np.int64)


@pytest.mark.parametrize(
    ("classifier", "settings"),
    [
        ("logistic", [{"logisticregression__C": 10.0**power} for power in range(-4, 2)]),
        ("knn", [{"kneighborsclassifier__n_neighbors": k} for k in (25, 15, 9, 7, 5, 3, 1)]),
    ],
)
def test_the_best_setting_in_cross_validation_is_chosen(
    classifier: Any, settings: list[dict[str, float]]
) -> None:
    rows, labels = random_rows()
    few = np.flatnonzero((labels != 2) | (np.arange(60) < 30))  # so that prior and evidence differ
    rows, labels = rows[few], labels[few]
    found = classifiers.fit(classifier, rows, labels, np.arange(len(labels)), seed=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = [
        cross_val_score(clone(found.estimator).set_params(**setting), rows, labels, cv=folds).mean()
        for setting in settings
    ]
    values = [value for setting in settings for value in setting.values()]
    assert found.is_chosen
    assert found.value == values[int(np.argmax(scores))]
    assert len(set(scores)) > 1


def test_neighbours_are_never_more_than_videos() -> None:
    rows, labels = random_rows(6)
    found = classifiers.fit("knn", rows, labels, np.arange(6), seed=0)
    assert found.value <= 3


def test_slow_convergence_is_one_readable_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "_MOST_STEPS", 1)
    rows, labels = random_rows()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        classifiers.fit("logistic", rows, labels, np.arange(60), seed=0)
    assert len(seen) == 1
    assert not issubclass(seen[0].category, ConvergenceWarning)
    assert "stopped after 1 steps before it had converged" in str(seen[0].message)


# Figures


def result(truth: list[int], predicted: list[int], n_classes: int) -> ProbeResult:
    return ProbeResult(
        classes=tuple(f"c{i}" for i in range(n_classes)),
        items=tuple(VideoItem(Path(f"{i}.mp4"), label) for i, label in enumerate(truth)),
        truth=np.array(truth, np.int64),
        predicted=np.array(predicted, np.int64),
        fold=np.zeros(len(truth), np.int64),
        protocol="by hand",
        chosen=({"C": 0.1},),
        n_train=7,
        guess=1,
    )


def test_figures_made_by_hand(tmp_path: Path) -> None:
    found = result([0, 0, 0, 1, 1, 3], [0, 1, 1, 1, 1, 0], 4)
    assert found.accuracy == pytest.approx(0.5)
    assert found.chance == pytest.approx(2 / 6)
    assert found.confusion.tolist() == [[1, 2, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert found.counts.tolist() == [3, 2, 0, 1]
    np.testing.assert_allclose(found.recall, [1 / 3, 1, np.nan, 0])
    assert found.to_dict()["recall"] == [pytest.approx(1 / 3), 1, None, 0]
    assert found.top_confusions() == [("c0", "c1", 2), ("c3", "c0", 1)]
    assert found.top_confusions(most=1) == [("c0", "c1", 2)]
    with found.write_confusion(tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    assert table[0] == ["true \\ predicted", "c0", "c1", "c2", "c3"]
    assert table[1] == ["c0", "1", "2", "0", "0"]
    assert len(table) == 5


def test_folds_are_values() -> None:
    fold = Fold(np.array([0]), np.array([1]))
    with pytest.raises(AttributeError):
        fold.train = np.array([2])  # type: ignore[misc]
