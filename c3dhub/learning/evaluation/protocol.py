"""How the figures were made, in words: a figure without its protocol cannot be compared."""

from __future__ import annotations

from ...clips.rule import ClipRule
from ...extraction.clip_network import ClipNetwork
from ..datasets import VideoList
from ..labelled import named
from .crops import CropsTransform


def protocol_in_words(
    videos: VideoList,
    network: ClipNetwork,
    rule: ClipRule,
    transform: CropsTransform,
    *,
    n_videos: int,
) -> str:
    """Return the protocol as sentences: ``n_videos`` of ``videos`` were counted."""
    return " ".join(
        [
            f"{n_videos} videos of {named(videos)}.",
            _clips(rule),
            f"Each clip: {transform.in_words}.",
            "Clip level: the mean of the softmax over the crops of a clip. Video level: the mean "
            "of that over all clips of the video.",
            _classes(len(videos.classes), network),
        ]
    )


def _clips(rule: ClipRule) -> str:
    if rule.frame_stride == 1:
        frames = f"{rule.clip_len} consecutive frames"
    else:
        frames = f"{rule.clip_len} frames, one out of {rule.frame_stride}"
    rate = "at the video's own rate" if rule.fps is None else f"at {rule.fps:g} frames per second"
    touching = rule.clip_len * rule.frame_stride
    if rule.stride == touching:
        meeting = "touching, no overlap"
    else:
        meeting = "overlapping" if rule.stride < touching else "with gaps"
    return (
        f"Clips of {frames} {rate}, one every {rule.stride} frames ({meeting}); the first that "
        "overruns the end is completed by looping its own frames and is the last."
    )


def _classes(n_classes: int, network: ClipNetwork) -> str:
    how = "matched by index, the network has no class names"
    if network.classes is not None:
        how = "matched by name"
    among = f"Classes are {how}; answers are ranked among all {network.num_classes} outputs"
    fewer = f", {n_classes} of which the data has" if n_classes < network.num_classes else ""
    return f"{among}{fewer}."
