"""``VideoFeatures``: videos in, an array out, as scikit-learn wants it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...base.errors import C3DHubError, DatasetError, shortened
from ...extraction.feature_extractor import FeatureExtractor
from ...extraction.options import DEFAULTS, ExtractOptions, Options, RowKeywords, takes
from ...extraction.pipeline import Part
from ...video import VideoSource
from .frozen_features import FrozenFeatures, Pooling

if TYPE_CHECKING:
    from typing_extensions import Unpack

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ImportError as error:
    raise ImportError(
        "VideoFeatures needs scikit-learn, which is not installed here: pip install 'c3dhub[probe]'"
    ) from error

_MOST_SHOWN = 5  # failures that a message lists


class VideoFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # it has no types
    """Frozen features of videos as a scikit-learn transformer: paths in, float32 (n, D) out.

    Nothing is learned from the videos: ``fit`` checks the settings and the form of its input, and
    ``transform`` works without it. Features are computed once for each video and kept on disk.

    Parameters
    ----------
    model: a name of :func:`c3dhub.list_models`, a folder or ``hf://`` reference, or a network. With
        a name, copies and pickles hold the name alone; a network is shared by clones and goes
        into pickles whole.
    pooling: how the clips of a video become one row: ``"mean"``, ``"max"``, or ``"mean+max"``,
        both side by side.
    errors: ``"raise"``: a video that cannot be read is an error, which names all of them, raised
        after the others are computed and kept. ``"nan"``: its row is NaN, and a warning names it.
    cache: True keeps features in ``C3DHUB_HOME/features``, a path in that folder, False nowhere.
        They are found again by the content of the video, the weights and all settings.
    progress: show videos done and time left on stderr.
    options: a :class:`c3dhub.ExtractOptions` or a part of it; settings of the transformer's own
        that differ from their defaults go before it.
    others: as in :func:`c3dhub.extract_features`. ``stages`` are put side by side,
        ``("layer3", "avgpool")`` for instance.

    Example::

        probe = make_pipeline(VideoFeatures("r3d_18_kinetics400_v1"), StandardScaler(),
                              LogisticRegression())
        probe.fit(paths, labels)
    """

    @takes(RowKeywords)
    def __init__(
        self,
        model: FeatureExtractor | str | Path = "resnet50_kinetics",
        *,
        pooling: Pooling = "mean",
        errors: Literal["raise", "nan"] = "raise",
        cache: bool | str | Path = True,
        progress: bool = False,
        options: Options | None = None,
        **given: Unpack[RowKeywords],
    ) -> None:
        # scikit-learn's rule: arguments are kept as they are and checked when they are used.
        self.model = model
        self.pooling = pooling
        self.errors = errors
        self.cache = cache
        self.progress = progress
        self.options = options
        for name in RowKeywords.__optional_keys__:
            setattr(self, name, given.get(name, DEFAULTS[name]))

    def fit(self, X: Any, y: Any = None) -> VideoFeatures:  # noqa: N803  # scikit-learn's name
        """Check settings and input, load the network, and return self; ``y`` is not looked at.

        Raises what :meth:`transform` raises, except about the videos' content.
        """
        _videos(X)
        self._frozen()
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return float32 (n_videos, D), one row for each video, in order.

        Parameters
        ----------
        X: paths or whatever :func:`c3dhub.extract_features` takes: a sequence, an array or Series
            of shape (n,), or one column (n, 1).

        Raises
        ------
        VideoError: a video cannot be read; DatasetError where several cannot (``errors="raise"``).
        ValueError, TypeError: a setting or ``X`` is wrong. What :func:`c3dhub.load` raises.
        """
        videos = _videos(X)
        parts = [Part(video, None, None) for video in videos]
        found = self._frozen().rows(parts, progress=self.progress)
        if found.failures:
            error = _one_error(list(found.failures.values()), n_videos=len(videos))
            if self.errors == "raise":
                raise error
            warnings.warn(str(error), stacklevel=2)
        if found.warnings:
            warnings.warn(_one_warning(found.warnings, n_videos=len(videos)), stacklevel=2)
        return found.rows

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the D columns, ``"avgpool_0"`` and so on; loads the network."""
        return np.array(self._frozen().names, dtype=object)

    def _frozen(self) -> FrozenFeatures:
        if self.errors not in ("raise", "nan"):
            raise ValueError(f"errors is {self.errors!r}; it must be 'raise' or 'nan'")
        settings = {name: getattr(self, name) for name in RowKeywords.__optional_keys__}
        changed = {k: v for k, v in settings.items() if not _is_default(v, DEFAULTS[k])}
        options = ExtractOptions.of(self.options, changed, RowKeywords)
        return FrozenFeatures(self.model, options, pooling=self.pooling, cache=self.cache)

    def __sklearn_clone__(self) -> VideoFeatures:
        """Return a copy that shares the network: clones need no copy of its weights."""
        return copy.deepcopy(self, {id(self.model): self.model})

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        """Say what goes in (a row of paths, no matrix of numbers) and that fitting is optional."""
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # always float32
        tags.requires_fit = False
        return tags


def _is_default(value: Any, default: Any) -> bool:
    # By type first: stages may be an array, which has no one answer to ==.
    return type(value) is type(default) and bool(value == default)


def _videos(given: Any) -> list[VideoSource]:
    """Return the videos of ``X``, in order; raises ValueError or TypeError for anything else."""
    if isinstance(given, (str, bytes, PathLike)):
        raise TypeError(f"X is {given!r}, one video; give a sequence: [{given!r}]")
    shape = getattr(given, "shape", None)
    if shape is not None and len(shape) == 2:
        if shape[1] != 1:
            raise ValueError(
                f"X has shape {shape}; it must be one column of videos, (n,) or (n, 1): choose the "
                "column, as ColumnTransformer does"
            )
        given = np.asarray(given)[:, 0]
    try:
        videos = list(given)
    except TypeError as error:
        raise TypeError(f"X is a {type(given).__name__}; give a sequence of videos") from error
    if not videos:
        raise ValueError("X has 0 sample(s); give at least one video")
    return [_video(position, video) for position, video in enumerate(videos)]


def _video(position: int, video: Any) -> VideoSource:
    if isinstance(video, (list, tuple)) and len(video) == 1:
        video = video[0]  # a row of one column
    known = isinstance(video, (str, bytes, PathLike)) or hasattr(video, "read")
    if not known and getattr(video, "ndim", 0) != 4:
        raise TypeError(
            f"X[{position}] is {video!r}, a {type(video).__name__}; each item must be the path of "
            "a video, bytes, a binary file object or a uint8 array (T, H, W, 3)"
        )
    return video  # type: ignore[no-any-return]


def _one_error(failures: list[C3DHubError], *, n_videos: int) -> C3DHubError:
    if len(failures) == 1:
        return failures[0]
    return DatasetError(
        f"{len(failures)} of {n_videos} videos cannot be read; remove or replace them, or pass "
        f"errors='nan':\n{_listed(failures)}"
    )


def _one_warning(found: dict[int, tuple[str, ...]], *, n_videos: int) -> str:
    lines = [f"X[{position}]: {'; '.join(texts)}" for position, texts in found.items()]
    return f"{len(found)} of {n_videos} videos were read with warnings:\n{_listed(lines)}"


def _listed(lines: Sequence[object]) -> str:
    return shortened([f"  {line}" for line in lines], most=_MOST_SHOWN)
