"""The two classifiers on frozen features, their one setting chosen by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .folds import Positions, inner_folds

Classifier = Literal["logistic", "knn"]

_SETTINGS = {"logistic": "C", "knn": "n_neighbors"}
# Of equal accuracies the first is taken: more regularisation, more neighbours.
_VALUES = {"logistic": (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0), "knn": (25, 15, 9, 7, 5, 3, 1)}
# Where nothing can be chosen, because a class has a single video to learn from.
_USUAL = {"logistic": 0.01, "knn": 1}
_MOST_STEPS = 5000

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Fitted:
    """A fitted scikit-learn estimator and the value of its setting (``C`` or ``n_neighbors``)."""

    estimator: Any
    setting: str
    value: float
    is_chosen: bool


def fit(
    classifier: Classifier, rows: Rows, labels: Positions, groups: Positions, *, seed: int
) -> Fitted:
    """Return the classifier fitted to ``rows``, its setting chosen by cross-validation among them.

    Parameters
    ----------
    classifier: ``"logistic"``: columns are scaled to mean 0 and variance 1, then multinomial
        logistic regression with an L2 penalty; ``C``, the inverse of its strength, out of
        0.0001 to 10. ``"knn"``: the majority of the nearest videos by cosine similarity, their
        number out of 1 to 25.
    rows: float32 (n, D). labels, groups: int64 (n,); groups are kept whole.
    seed: decides the folds; nothing else is random.
    """
    folds = inner_folds(labels, groups, seed=seed)
    setting = _SETTINGS[classifier]
    if not folds:
        usual = _USUAL[classifier]
        with _readable_warnings(f"{setting}={usual}"):
            return Fitted(_estimator(classifier, usual).fit(rows, labels), setting, usual, False)
    from sklearn.model_selection import GridSearchCV  # optional package

    fewest = min(len(fold.train) for fold in folds)
    values = [value for value in _VALUES[classifier] if classifier != "knn" or value <= fewest]
    step = _estimator(classifier, values[0])
    search = GridSearchCV(
        step,
        {f"{step.steps[-1][0]}__{setting}": values},
        scoring="accuracy",
        cv=[(fold.train, fold.test) for fold in folds],
        error_score="raise",
    )
    with _readable_warnings(f"one of {setting}={', '.join(f'{value:g}' for value in values)}"):
        search.fit(rows, labels)
    (value,) = search.best_params_.values()
    return Fitted(search.best_estimator_, setting, value, True)


def _estimator(classifier: Classifier, value: float) -> Any:
    from sklearn.linear_model import LogisticRegression  # optional package
    from sklearn.neighbors import KNeighborsClassifier  # optional package
    from sklearn.pipeline import make_pipeline  # optional package
    from sklearn.preprocessing import StandardScaler  # optional package

    if classifier == "knn":
        return make_pipeline(KNeighborsClassifier(n_neighbors=int(value), metric="cosine"))
    return make_pipeline(StandardScaler(), LogisticRegression(C=value, max_iter=_MOST_STEPS))


@contextmanager
def _readable_warnings(what: str) -> Iterator[None]:
    """Turn any number of scikit-learn's convergence warnings into one that says what it means."""
    from sklearn.exceptions import ConvergenceWarning  # optional package

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ConvergenceWarning)
        yield
    n_slow = 0
    for item in seen:
        if issubclass(item.category, ConvergenceWarning):
            n_slow += 1
        else:
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    if n_slow:
        warnings.warn(
            f"logistic regression was stopped after {_MOST_STEPS} steps before it had converged "
            f"({n_slow} times, for {what}); the accuracy may be a little too low",
            stacklevel=3,
        )
