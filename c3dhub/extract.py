"""The main job, with a model by name or at hand: features of videos, and their classes.

What happens inside is told in ``extraction/feature_extractor.py``; the options are declared in
``extraction/options.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.errors import C3DHubError
from .extraction.clip_network import ClipNetwork
from .extraction.feature_extractor import FeatureExtractor, extract, extract_one, ready
from .extraction.features import Features
from .extraction.options import (
    ClassifyKeywords,
    ComputeOptions,
    ExtractKeywords,
    ExtractOptions,
    Options,
    takes,
)
from .extraction.predictions import softmax, top
from .hub import load
from .video import VideoSource

if TYPE_CHECKING:
    from typing_extensions import Unpack


@takes(ExtractKeywords)
def extract_features(
    video: VideoSource,
    *,
    model: FeatureExtractor | str | Path,
    progress: bool = False,
    options: Options | None = None,
    **given: Unpack[ExtractKeywords],
) -> Features:
    """Return the features of every clip of a video, with timestamps.

    Parameters
    ----------
    video: path, file object, bytes, folder of numbered images, or uint8 (T, H, W, 3).
    model: a network of :func:`c3dhub.load`, or what ``load`` takes. For many videos load it once.
    progress: show clips done and time left on stderr.
    options: a :class:`c3dhub.ExtractOptions` or a part of it, instead of the keywords below, which
        go before it. It is told there what each of them means.

    Returns
    -------
    Features whose provenance names model, weights, clip rule, source and versions.

    Raises
    ------
    VideoError: the video cannot be read. ValueError, TypeError: an option is wrong.

    Example: a 14 s video of 420 frames gives 27 clips of 16 frames, the last with 4 frames of its
    own, looped.
    """
    chosen = ExtractOptions.of(options, given, ExtractKeywords)
    return extract_one(ready_network(model, chosen), video, chosen, progress=progress)


@takes(ExtractKeywords)
def extract_many(
    videos: Iterable[VideoSource],
    *,
    model: FeatureExtractor | str | Path,
    progress: bool = False,
    options: Options | None = None,
    **given: Unpack[ExtractKeywords],
) -> Iterator[tuple[VideoSource, Features | C3DHubError]]:
    """Yield (video, features) for each of ``videos``, in order; (video, error) where one fails.

    Faster than a loop over :func:`extract_features` where videos are short: batches run across
    videos, and the next video is opened and decoded while the network computes the last.

    Parameters
    ----------
    videos: whatever :func:`extract_features` takes, any number of them, also from a generator.
    others: as in :func:`extract_features`. ``progress`` counts videos.

    An unreadable video is yielded with its VideoError and the others go on. Wrong options raise
    ValueError or TypeError at once, before a video is opened; an item that is no video at all (a
    number, an empty array) raises them too, after the results of the videos before it.

    Example::

        for path, result in c3dhub.extract_many(paths, model=model):
            if isinstance(result, c3dhub.Features):
                result.save(folder / f"{path.stem}.safetensors")
    """
    if isinstance(videos, (str, bytes, PathLike)):
        raise TypeError(f"videos is {videos!r}; give a list of videos, or use extract_features")
    chosen = ExtractOptions.of(options, given, ExtractKeywords)
    return extract(ready_network(model, chosen), videos, chosen, progress=progress)


@takes(ClassifyKeywords)
def classify(
    video: VideoSource,
    *,
    model: FeatureExtractor | str | Path,
    topk: int = 5,
    per_clip: bool = False,
    progress: bool = False,
    options: Options | None = None,
    **given: Unpack[ClassifyKeywords],
) -> list[Any]:
    """Return the ``topk`` most likely classes of a video, best first.

    Parameters
    ----------
    topk: how many classes, at most ``num_classes``.
    per_clip: False gives one list of :class:`c3dhub.extraction.predictions.Prediction` for the
        video, scores being the mean over clips of the softmax, as the papers evaluate; True gives a
        dict per clip with ``start_seconds``, ``end_seconds`` and ``predictions``.
    others: as in :func:`c3dhub.extract_features`.

    Labels are None where the release has no known class names.
    """
    chosen = replace(ExtractOptions.of(options, given, ClassifyKeywords), stages=("logits",))
    network = ready_network(model, chosen)
    if not isinstance(topk, int) or isinstance(topk, bool) or not 1 <= topk <= network.num_classes:
        raise ValueError(f"topk is {topk!r}; it must be from 1 to {network.num_classes}")
    features = extract_one(network, video, chosen, progress=progress)
    scores = softmax(features["logits"])  # (n_clips, num_classes)
    if per_clip:
        return [
            {
                "start_seconds": float(features.start_seconds[i]),
                "end_seconds": float(features.end_seconds[i]),
                "predictions": top(scores[i], network.classes, topk),
            }
            for i in range(len(features))
        ]
    return top(scores.mean(axis=0), network.classes, topk) if len(features) else []


def ready_network(model: FeatureExtractor | str | Path, compute: ComputeOptions) -> ClipNetwork:
    """Return the inference form of ``model``, a network for videos or what ``load`` takes."""
    if isinstance(model, FeatureExtractor):
        return ready(model, compute)
    return ready(load(model, device=compute.device), compute)
