"""Labelled videos -> frozen features -> a classifier -> how good it is: the whole probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from ...base.checks import check_choice
from ...base.errors import DatasetError
from ...extraction.feature_extractor import FeatureExtractor
from ...extraction.options import ExtractOptions, Options, RowKeywords, takes
from ...extraction.provenance import describe
from ..datasets import BrokenVideo, VideoList
from ..labelled import broken_video, parts_of
from .classifiers import Classifier, Fitted, Rows, fit
from .folds import group_numbers
from .frozen_features import FeatureRows, FrozenFeatures, Pooling
from .probe_result import ProbeResult
from .task import Plan, Task
from .train_and_test import DataChoice, read_parts

if TYPE_CHECKING:
    from typing_extensions import Unpack


@takes(RowKeywords)
def probe(
    data: VideoList | str | Path,
    *,
    model: FeatureExtractor | str | Path,
    test: VideoList | str | Path | None = None,
    split: int = 1,
    classifier: Classifier = "logistic",
    pooling: Pooling = "mean",
    groups: str | None = None,
    folds: int | None = None,
    leave_one_group_out: bool = False,
    seed: int = 0,
    cache: bool | str | Path = True,
    progress: bool = False,
    options: Options | None = None,
    **given: Unpack[RowKeywords],
) -> ProbeResult:
    """Tell how well a simple classifier on frozen features knows the classes of videos.

    Each video becomes one row: its clips' features, pooled over time. The classifier learns from
    some rows and predicts others; everything that it chooses (scaling, regularisation, number of
    neighbours) it chooses from the rows that it learns from.

    Parameters
    ----------
    data: what :func:`c3dhub.read_dataset` reads or returns. A path to a dataset with subsets
        stands for its training part, tested on its test part, else its validation part.
    model: a name of :func:`c3dhub.list_models`, a folder, or a network.
    test: videos to test with. Without any, and without subsets, ``data`` is cross-validated: each
        video is predicted once, by a classifier that did not learn from its fold.
    split: for datasets with several official splits.
    classifier: ``"logistic"`` (regularisation chosen) or ``"knn"`` (number of neighbours chosen).
    pooling, cache: what a row is and where it is kept, see :class:`c3dhub.VideoFeatures`.
    groups: regular expression that finds in each file name what must not be both learned from and
        tested (a person, a scene, a recording); None takes the groups that the list has.
    folds: of the cross-validation; None is 5, or fewer where a class has fewer videos or groups.
    leave_one_group_out: one fold for each group instead.
    seed: decides the folds; all else is the same every time.
    progress: show videos done and time left on stderr.
    options: a :class:`c3dhub.ExtractOptions` or a part of it, instead of the keywords below.

    Returns
    -------
    ProbeResult: accuracy over videos with its 95 % interval, chance level, recalls, confusions,
    the prediction for each video. Videos that cannot be read are left out and listed in ``broken``.

    Raises
    ------
    DatasetError: too few videos, classes or groups; classes that differ between the parts; all
    before a video is read. ImportError without scikit-learn. ValueError, TypeError: an option is
    wrong. What :func:`c3dhub.load` raises.

    Example: ``c3dhub.probe("videos/", model="r3d_18_kinetics400_v1").accuracy``
    """
    require_sklearn()
    check_choice("classifier", classifier, get_args(Classifier))
    _check_seed(seed)
    whole = test is None and (folds is not None or leave_one_group_out)
    plan = Plan(folds, leave_one_group_out, seed)
    task = Task.of(*_parts(data, test, split=split, whole=whole), groups=groups, plan=plan)
    chosen = ExtractOptions.of(options, given, RowKeywords)
    frozen = FrozenFeatures(model, chosen, pooling=pooling, cache=cache)
    found = frozen.rows(parts_of(task.videos), progress=progress)
    broken, warnings = _broken(task.videos, found), _warnings(task.videos, found)
    rows = found.rows
    if broken:
        task, rows = task.without(found.failures), np.delete(rows, list(found.failures), axis=0)
    settings = _settings(frozen, classifier, seed)
    scored = _score(task, rows, classifier, settings=settings)
    return replace(scored, broken=broken, warnings=warnings)


def require_sklearn() -> None:
    """Raise ImportError, naming the extra, where scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "a probe needs scikit-learn, which is not installed here: pip install 'c3dhub[probe]'"
        ) from error


def _score(
    task: Task, rows: Rows, classifier: Classifier, *, settings: dict[str, Any]
) -> ProbeResult:
    labels, groups = np.array(task.videos.labels, np.int64), group_numbers(task.videos)
    predicted, fold_of = np.full(len(labels), -1, np.int64), np.full(len(labels), -1, np.int64)
    fitted: list[Fitted] = []
    for number, fold in enumerate(task.folds):
        learned = rows[fold.train], labels[fold.train], groups[fold.train]
        found = fit(classifier, *learned, seed=task.plan.seed)
        predicted[fold.test] = found.estimator.predict(rows[fold.test])
        fold_of[fold.test] = number
        fitted.append(found)
    tested = np.flatnonzero(fold_of >= 0)
    return ProbeResult(
        classes=task.videos.classes,
        items=tuple(task.videos.items[position] for position in tested),
        truth=labels[tested],
        predicted=predicted[tested],
        fold=fold_of[tested],
        protocol=task.protocol,
        chosen=tuple({found.setting: found.value} for found in fitted),
        n_train=task.n_train,
        guess=int(np.bincount(labels[: task.n_train]).argmax()),
        settings=settings,
        notes=(*task.notes(), *_not_chosen(fitted)),
    )


def _not_chosen(fitted: Sequence[Fitted]) -> list[str]:
    usual = [found for found in fitted if not found.is_chosen]
    if not usual:
        return []
    return [
        f"{usual[0].setting} was not chosen by cross-validation but taken as {usual[0].value:g}: a "
        "class has a single video, or a single group, to learn from"
    ]


def _parts(
    data: VideoList | str | Path, test: VideoList | str | Path | None, *, split: int, whole: bool
) -> tuple[VideoList, VideoList | None]:
    if isinstance(data, VideoList):
        if test is None or isinstance(test, VideoList):
            return data, test
        raise TypeError("data is a VideoList and test a path; give both as lists or both as paths")
    if isinstance(test, VideoList):
        raise TypeError("data is a path and test a VideoList; give both as lists or both as paths")
    return read_parts(data, test=test, whole=whole, choice=DataChoice(split=split))


def _check_seed(seed: int) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ValueError(f"seed is {seed!r}; it must be a whole number from 0 to 2147483647")


def _broken(videos: VideoList, found: FeatureRows) -> tuple[BrokenVideo, ...]:
    broken = tuple(
        broken_video(videos.items[position], error, position)
        for position, error in found.failures.items()
    )
    if len(broken) == len(videos):
        raise DatasetError(
            f"none of the {len(videos)} videos can be read; the first is {broken[0].path}: "
            f"{broken[0].reason}"
        )
    return broken


def _warnings(videos: VideoList, found: FeatureRows) -> tuple[str, ...]:
    return tuple(
        f"{videos.items[position].path}: {'; '.join(texts)}"
        for position, texts in found.warnings.items()
    )


def _settings(frozen: FrozenFeatures, classifier: Classifier, seed: int) -> dict[str, Any]:
    rule = frozen.rule.to_dict()
    names = ("clip_len", "clip_stride", "frame_stride", "fps", "tail")
    return {
        "classifier": classifier,
        "seed": seed,
        "pooling": frozen.pooling,
        "n_columns": len(frozen.names),
        "clip_rule": {name: rule[name] for name in names},
        "decode": frozen.options.decode,
        **describe(frozen.network, stages=frozen.options.stages, pool=True),
    }
