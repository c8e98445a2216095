"""Videos -> frozen features, each computed once and kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...base.errors import C3DHubError, FeaturesError
from ...base.home import cache_home
from ...base.progress import Progress
from ...clips.rule import ClipRule
from ...extract import ready_network
from ...extraction.extracting import FeatureExtractor, extract
from ...extraction.features import Features
from ...extraction.network import ClipNetwork
from ...extraction.options import ExtractOptions
from ...hub import load
from ...registry.config import CONFIG_FILE, WEIGHTS_FILE
from ...video import VideoSource, open_video
from .feature_store import FeatureStore, default_folder, recipe_of
from .pooling import Pooling, check_pooling, row_names, video_row

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Excerpt:
    """A video, or the part of it from ``start`` to ``end`` (seconds, half-open)."""

    video: VideoSource
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Rows of videos, float32 (n, D), and what went wrong, by position.

    ``failures`` are errors of videos that cannot be read, ``warnings`` are about others, such as
    one that breaks off.
    """

    rows: NDArray[np.float32]
    failures: dict[int, C3DHubError] = field(default_factory=dict)
    warnings: dict[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class FrozenFeatures:
    """What makes one row of a video; the arguments of :class:`c3dhub.VideoFeatures` say more.

    ``network`` is prepared on creation, so that wrong settings are errors before a video is read.
    """

    model: FeatureExtractor | str | Path
    options: ExtractOptions = field(default_factory=ExtractOptions)
    pooling: Pooling = "mean"
    cache: bool | str | Path = True
    network: ClipNetwork = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_pooling(self.pooling)
        if not isinstance(self.cache, (bool, str, Path)):
            raise TypeError(f"cache is {self.cache!r}; it must be True, False or a folder")
        network = ready_network(_loaded(self.model, self.options.device), self.options)
        network.check_stages(self.options.stages)
        object.__setattr__(self, "network", network)

    @property
    def rule(self) -> ClipRule:
        """How whole videos are cut into clips."""
        return self.options.rule(self.network.config.clip_len)

    @property
    def names(self) -> list[str]:
        """Names of the D columns."""
        return row_names(self.network, stages=self.options.stages, pooling=self.pooling)

    def rows(self, excerpts: Sequence[Excerpt], *, progress: bool = False) -> FeatureRows:
        """Return a row for each excerpt; NaN for those that cannot be read."""
        found = FeatureRows(np.full((len(excerpts), len(self.names)), np.nan, np.float32))
        for position, result in self.each(excerpts, progress=progress):
            if not isinstance(result, Features):
                found.failures[position] = result
                continue
            found.rows[position] = video_row(
                result, stages=self.options.stages, pooling=self.pooling
            )
            if result.warnings:
                found.warnings[position] = result.warnings
        return found

    def each(
        self, excerpts: Sequence[Excerpt], *, progress: bool = False
    ) -> Iterator[tuple[int, Features | C3DHubError]]:
        """Yield (position, features or error) of every excerpt: first those that are stored."""
        store = self._store()
        bar = Progress(len(excerpts), unit="videos", label="features", enabled=progress)
        with closing(bar):
            missing: list[int] = []
            for position, found in self._stored(store, excerpts):
                if found is None:
                    missing.append(position)
                    continue
                bar.update(1)
                yield position, found
            for position, result in self._made(store, excerpts, missing):
                bar.update(1)
                yield position, result

    def _store(self) -> FeatureStore | None:
        if self.cache is False:
            return None
        root = default_folder() if self.cache is True else Path(self.cache).expanduser()
        recipe = recipe_of(self.network, self.options)
        return FeatureStore(root, recipe)

    def _rule_of(self, excerpt: Excerpt) -> ClipRule:
        return replace(self.rule, start=excerpt.start, end=excerpt.end)

    def _stored(
        self, store: FeatureStore | None, excerpts: Sequence[Excerpt]
    ) -> Iterator[tuple[int, Features | None]]:
        known: dict[str, str | None] = {}  # many excerpts may be of one video: it is hashed once
        for position, excerpt in enumerate(excerpts):
            sha256 = None if store is None else _content(excerpt.video, known)
            if store is None or sha256 is None:
                yield position, None
            else:
                yield position, store.read(sha256, self._rule_of(excerpt))

    def _made(
        self, store: FeatureStore | None, excerpts: Sequence[Excerpt], positions: Iterable[int]
    ) -> Iterator[tuple[int, Features | C3DHubError]]:
        for (start, end), group in _by_span(excerpts, positions).items():
            videos = [excerpts[position].video for position in group]
            options = replace(self.options, start=start, end=end)
            results = extract(self.network, videos, options, progress=False)
            for position, (_, result) in zip(group, results, strict=True):
                if store is not None and isinstance(result, Features):
                    store = self._keep(store, result, self._rule_of(excerpts[position]))
                yield position, result

    def _keep(self, store: FeatureStore, features: Features, rule: ClipRule) -> FeatureStore | None:
        """Write at once, so that a killed run keeps what it had; None where nothing can be kept."""
        try:
            store.write(features, rule)
        except (OSError, FeaturesError) as error:
            logger.warning("the features cannot be kept for the next time: %s", error)
            return None
        return store


def _by_span(
    excerpts: Sequence[Excerpt], positions: Iterable[int]
) -> Mapping[tuple[float | None, float | None], list[int]]:
    """Group what can be extracted in one go: batches run across videos with the same rule."""
    groups: dict[tuple[float | None, float | None], list[int]] = {}
    for position in positions:
        excerpt = excerpts[position]
        groups.setdefault((excerpt.start, excerpt.end), []).append(position)
    return groups


def _content(video: VideoSource, known: dict[str, str | None]) -> str | None:
    """Return the hash of a video's content, None for one that cannot be read."""
    name = str(video) if isinstance(video, (str, PathLike)) else None
    if name is not None and name in known:
        return known[name]
    try:
        with open_video(video) as opened:
            sha256 = opened.sha256()
    except C3DHubError:  # said again, to the caller, when its features are made
        sha256 = None
    if name is not None:
        known[name] = sha256
    return sha256


# The network that was loaded last: cross-validation asks for the same one again and again.
_last: tuple[tuple[Any, ...], FeatureExtractor] | None = None


def _loaded(
    model: FeatureExtractor | str | Path, device: str | torch.device | None
) -> FeatureExtractor:
    global _last
    if isinstance(model, FeatureExtractor):
        return model
    key = (str(model), str(device), str(cache_home()))
    last = _last  # another thread may replace it meanwhile
    if last is not None and last[0] == (*key, *_files(model)):
        return last[1]
    last = _last = None  # not two large networks at once
    network = load(model, device=device)
    _last = ((*key, *_files(model)), network)
    return network


def _files(model: str | Path) -> tuple[tuple[str, int, int], ...]:
    """Return size and time of the files that a model may come from, to see that they changed."""
    given, kept = Path(model), cache_home() / "models" / str(model)
    places = [
        given,
        *(folder / file for folder in (given, kept) for file in (WEIGHTS_FILE, CONFIG_FILE)),
    ]
    found = []
    for place in places:
        try:
            status = place.stat()
        except (OSError, ValueError):
            continue
        found.append((str(place), status.st_size, status.st_mtime_ns))
    return tuple(found)
