"""VideoFeatures under scikit-learn's own checks of estimators.

scikit-learn skips nearly all checks for an estimator that takes paths, because its checks bring
matrices of random numbers. :class:`OfNumbers` makes a video of each row of such a matrix, so that
every check runs: through the real reading, the real network and the real pooling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator
from sklearn.utils.validation import validate_data

from c3dhub.hub import create_model
from c3dhub.learning.probing.transformer import VideoFeatures
from c3dhub.networks import build

# Checks that cannot apply, each with the reason. None at present: the list is the place for it.
CANNOT_APPLY: dict[str, str] = {}


class OfNumbers(VideoFeatures):
    """Takes a matrix of numbers, as scikit-learn's checks give it; each row decides a video."""

    def fit(self, X: Any, y: Any = None) -> OfNumbers:  # noqa: N803
        super().fit(videos_of(validate_data(self, X)), y)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        matrix = validate_data(self, X, reset=not hasattr(self, "n_features_in_"))
        return super().transform(videos_of(matrix))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = False
        return tags


def videos_of(matrix: NDArray[Any]) -> list[NDArray[np.uint8]]:
    """Return a video of noise for each row: equal rows give equal videos."""
    found = []
    for row in np.asarray(matrix, np.float64):
        seed = int.from_bytes(hashlib.sha256(row.tobytes()).digest()[:8], "little")
        noise = np.random.default_rng(seed).integers(0, 256, (2, 16, 16, 3))
        found.append(noise.astype(np.uint8))
    return found


def small_model(folder: Path) -> Path:
    """Save a network for clips of 2 frames of 16x16: the checks compute thousands of them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = create_model("resnet10", num_classes=5, width=8, clip_len=2, device="cpu").config
        contract = replace(config.input, resize_size=(16,), crop_size=16)
        return build(replace(config, input=contract)).save_pretrained(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"))


def check_names() -> Iterator[str]:
    for number, (_, check) in enumerate(estimator_checks_generator(OfNumbers("any"))):
        yield f"{number}-{getattr(check, 'func', check).__name__}"


@pytest.mark.parametrize("name", list(check_names()))
def test_scikit_learn_check(name: str, model: Path) -> None:
    number, check_name = name.split("-")
    if check_name in CANNOT_APPLY:
        pytest.skip(CANNOT_APPLY[check_name])
    checks = list(estimator_checks_generator(OfNumbers(str(model), device="cpu", cache=False)))
    estimator, check = checks[int(number)]
    try:
        check(clone(estimator))
    except pytest.skip.Exception:
        raise
    except BaseException as error:
        if type(error).__name__ == "SkipTest":  # of a package that is not set up here
            pytest.skip(str(error))
        raise


def test_the_class_itself_passes_what_its_tags_leave(model: Path) -> None:
    with pytest.warns(SkipTestWarning, match="requires input"):
        results = check_estimator(VideoFeatures(str(model)), on_fail=None)
    assert {result["status"] for result in results} == {"passed"}
