"""How the figures were made, in words: a figure without its protocol cannot be compared."""

from __future__ import annotations

from ...clips.rule import ClipRule
from .crops import CropsTransform


def protocol_in_words(
    origin: str,
    rule: ClipRule,
    transform: CropsTransform,
    *,
    n_videos: int,
    names_known: bool,
    n_classes: int,
    n_outputs: int,
) -> str:
    """Return the protocol as sentences.

    Parameters
    ----------
    origin: what the data is called.
    rule, transform: how videos became clips, and frames crops.
    n_videos: how many videos were counted.
    names_known: whether classes were matched by name; else label ``i`` was output ``i``.
    n_classes, n_outputs: classes of the data and outputs of the network.
    """
    return " ".join(
        [
            f"{n_videos} videos of {origin}.",
            _clips(rule),
            f"Each clip: {transform.in_words}.",
            "Clip level: the mean of the softmax over the crops of a clip. Video level: the mean "
            "of that over all clips of the video.",
            _classes(names_known, n_classes, n_outputs),
        ]
    )


def _clips(rule: ClipRule) -> str:
    if rule.frame_stride == 1:
        frames = f"{rule.clip_len} consecutive frames"
    else:
        frames = f"{rule.clip_len} frames, one out of {rule.frame_stride}"
    rate = "at the video's own rate" if rule.fps is None else f"at {rule.fps:g} frames per second"
    return (
        f"Clips of {frames} {rate}, one every {rule.stride} frames{_meeting(rule)}; the first that "
        "overruns the end is completed by looping its own frames and is the last."
    )


def _meeting(rule: ClipRule) -> str:
    touching = rule.clip_len * rule.frame_stride
    if rule.stride == touching:
        return " (touching, no overlap)"
    return " (overlapping)" if rule.stride < touching else " (with gaps)"


def _classes(names_known: bool, n_classes: int, n_outputs: int) -> str:
    how = "matched by name" if names_known else "matched by index, the network has no class names"
    among = f"Classes are {how}; answers are ranked among all {n_outputs} outputs"
    return f"{among}, {n_classes} of which the data has." if n_classes < n_outputs else f"{among}."
