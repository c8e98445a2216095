"""Videos -> frozen features, each computed once and kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from ...base.checks import check_choice
from ...base.errors import C3DHubError, FeaturesError
from ...base.places import cache_home
from ...base.progress import Progress
from ...clips.rule import ClipRule
from ...extract import ready_network
from ...extraction.feature_extractor import FeatureExtractor, extract
from ...extraction.features import Features
from ...extraction.options import ExtractOptions
from ...extraction.pipeline import Part
from ...hub import load
from ...networks import stage_shapes
from ...registry.config import CONFIG_FILE, WEIGHTS_FILE
from ...video import VideoSource, open_video
from ...weights.cache import Cache
from .feature_store import FeatureStore, recipe_of

Pooling = Literal["mean", "max", "mean+max"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Rows of videos, float32 (n, D), and what went wrong, by position, in order.

    ``failures`` are errors of videos that cannot be read, ``warnings`` are about others, such as
    one that breaks off.
    """

    rows: NDArray[np.float32]
    failures: dict[int, C3DHubError]
    warnings: dict[int, tuple[str, ...]]


class FrozenFeatures:
    """What makes one row of a video; the arguments of :class:`c3dhub.VideoFeatures` say more.

    ``network`` is prepared on creation, so that wrong settings are errors before a video is read.
    """

    def __init__(
        self,
        model: FeatureExtractor | str | Path,
        options: ExtractOptions,
        *,
        pooling: Pooling,
        cache: bool | str | Path,
    ) -> None:
        check_choice("pooling", pooling, get_args(Pooling))
        if not isinstance(cache, (bool, str, Path)):
            raise TypeError(f"cache is {cache!r}; it must be True, False or a folder")
        self.options, self.pooling, self.cache = options, pooling, cache
        self.network = ready_network(_loaded(model, options.device), options)
        self.network.check_stages(options.stages)

    @property
    def rule(self) -> ClipRule:
        """How whole videos are cut into clips."""
        return self.options.rule(self.network.config.clip_len)

    @property
    def names(self) -> list[str]:
        """Names of the D columns, such as ``"avgpool_17"``.

        Example: with ``"mean+max"`` they are ``"avgpool_mean_0", ..., "avgpool_max_0", ...``.
        """
        config = self.network.config
        shapes = stage_shapes(self.network, config.clip_len, config.input.crop_size)
        kinds = ("_mean", "_max") if self.pooling == "mean+max" else ("",)
        return [
            f"{stage}{kind}_{channel}"
            for stage in self.options.stages
            for kind in kinds
            for channel in range(shapes[stage][0])
        ]

    def rows(self, parts: Sequence[Part], *, progress: bool = False) -> FeatureRows:
        """Return a row for each part of a video; NaN for those that cannot be read."""
        rows = np.full((len(parts), len(self.names)), np.nan, np.float32)
        failures, warnings = {}, {}
        with Progress(len(parts), unit="videos", label="features", enabled=progress) as bar:
            for position, result in self._each(parts):
                bar.update(1)
                if isinstance(result, C3DHubError):
                    failures[position] = result
                    continue
                rows[position] = self._row(result)
                if result.warnings:
                    warnings[position] = result.warnings
        return FeatureRows(rows, dict(sorted(failures.items())), dict(sorted(warnings.items())))

    def _row(self, features: Features) -> NDArray[np.float32]:
        """Return (D,): stage after stage, each pooled over the clips, the mean before the maximum.

        The mean is summed in float64: it must not depend on how many clips come before.
        """
        parts = []
        for stage in self.options.stages:
            clips = features[stage]  # (n_clips, C)
            if self.pooling != "max":
                parts.append(clips.mean(axis=0, dtype=np.float64))
            if self.pooling != "mean":
                parts.append(clips.max(axis=0))
        return np.concatenate(parts).astype(np.float32)

    def _each(self, parts: Sequence[Part]) -> Iterator[tuple[int, Features | C3DHubError]]:
        """Yield (position, features or error) of every part: first those that are stored."""
        store = self._store()
        stored = [None] * len(parts) if store is None else self._stored(store, parts)
        # What has the same rule is extracted in one go: batches run across videos.
        missing: dict[ClipRule, list[int]] = {}
        for position, found in enumerate(stored):
            if found is None:
                missing.setdefault(self._rule_of(parts[position]), []).append(position)
            else:
                yield position, found
        yield from self._made(store, parts, missing)

    def _store(self) -> FeatureStore | None:
        if self.cache is False:
            return None
        root = Cache.default().features if self.cache is True else Path(self.cache).expanduser()
        return FeatureStore(root, recipe_of(self.network, self.options))

    def _rule_of(self, part: Part) -> ClipRule:
        return replace(self.rule, start=part.start, end=part.end)

    def _stored(self, store: FeatureStore, parts: Sequence[Part]) -> Iterator[Features | None]:
        hashes: dict[str | int, str | None] = {}  # many parts may be of one video
        for part in parts:
            video = part.video
            key = str(video) if isinstance(video, (str, PathLike)) else id(video)
            if key not in hashes:
                hashes[key] = _content(video)
            sha256 = hashes[key]
            yield None if sha256 is None else store.read(sha256, self._rule_of(part))

    def _made(
        self,
        store: FeatureStore | None,
        parts: Sequence[Part],
        missing: Mapping[ClipRule, Sequence[int]],
    ) -> Iterator[tuple[int, Features | C3DHubError]]:
        for rule, positions in missing.items():
            videos = [parts[position].video for position in positions]
            options = replace(self.options, start=rule.start, end=rule.end)
            results = extract(self.network, videos, options, progress=False)
            for position, (_, result) in zip(positions, results, strict=True):
                if store is not None and isinstance(result, Features):
                    try:  # at once, so that a killed run keeps what it had
                        store.write(result, rule)
                    except (OSError, FeaturesError) as error:
                        logger.warning("the features cannot be kept for the next time: %s", error)
                        store = None
                yield position, result


def _content(video: VideoSource) -> str | None:
    """Return the hash of a video's content, None for one that cannot be read."""
    try:
        with open_video(video) as opened:
            return opened.sha256()
    except C3DHubError:  # said again, to the caller, when its features are made
        return None


# The network that was loaded last: cross-validation asks for the same one again and again.
_last: tuple[tuple[Any, ...], FeatureExtractor] | None = None


def _loaded(
    model: FeatureExtractor | str | Path, device: str | torch.device | None
) -> FeatureExtractor:
    global _last
    if isinstance(model, FeatureExtractor):
        return model
    last = _last  # another thread may replace it meanwhile
    if last is not None and last[0] == _key(model, device):
        return last[1]
    last = _last = None  # not two large networks at once
    network = load(model, device=device)
    _last = (_key(model, device), network)
    return network


def _key(model: str | Path, device: str | torch.device | None) -> tuple[Any, ...]:
    """Return what tells networks apart: with size and time of the files that they may come from."""
    given, kept = Path(model), cache_home() / "models" / str(model)
    files = (folder / file for folder in (given, kept) for file in (WEIGHTS_FILE, CONFIG_FILE))
    found = []
    for place in (given, *files):
        with suppress(OSError, ValueError):
            status = place.stat()
            found.append((place, status.st_size, status.st_mtime_ns))
    return (str(model), str(device), cache_home(), *found)
