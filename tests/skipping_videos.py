"""Videos of every kind for leaving pictures out, and the clips that are read from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from make_video import numbered_image

from c3dhub.base.errors import VideoError
from c3dhub.clips.reading import Clip, read_clips
from c3dhub.clips.rule import ClipRule
from c3dhub.clips.sampling import FrameChoice
from c3dhub.clips.transforms import ClipTransform
from c3dhub.registry.config import InputContract
from c3dhub.video import open_video

FRAMES = 120
TRANSFORM = ClipTransform(
    InputContract(
        max_value=255.0,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        resize_mode="short_side",
        resize_size=(24,),
        antialias=True,
        crop_size=24,
    )
)
MOVES = {"b_strategy": "0", "sc_threshold": "0"}
X265 = "log-level=none:keyint=15:min-keyint=15:scenecut=0:bframes=3"

Result = tuple[list[Clip], list[str]]


def moving_images(count: int = FRAMES) -> list[Any]:
    """Numbered pictures with noise that moves, so that each one differs from all others."""
    noise = np.random.default_rng(0).integers(-20, 20, (48, 64, 3))
    return [np.uint8(numbered_image(n) + np.roll(noise, 3 * n, axis=1)) for n in range(count)]


# What can be left out: whole stretches; the tail alone, for want of independent pictures; nothing.
What = Literal["stretches", "tail", "nothing"]
# name -> (how it is written, what can be left out)
VIDEOS: dict[str, tuple[dict[str, Any], What]] = {
    "plain.mp4": ({"options": {"g": "12", "bf": "0"}}, "stretches"),
    "b_frames.mp4": ({"options": {"g": "15", "bf": "2", **MOVES}}, "stretches"),
    "pyramid.mkv": (
        {"options": {"g": "40", "x264-params": "bframes=7:b-adapt=0:b-pyramid=normal:ref=4"}},
        "stretches",
    ),
    "no_pyramid.mp4": (
        {"options": {"g": "9", "x264-params": "bframes=3:b-adapt=0:b-pyramid=none:scenecut=0"}},
        "stretches",
    ),
    "open.mp4": ({"options": {"g": "15", "x264-params": "open-gop=1:bframes=3:b-adapt=0"}}, "tail"),
    "refresh.mp4": ({"options": {"g": "20", "x264-params": "intra-refresh=1"}}, "tail"),
    "temporal.mp4": (
        {"options": {"g": "15", "x264-params": "bframes=3:weightp=2:ref=8"}},
        "stretches",
    ),
    "closed_hevc.mp4": (
        {"codec": "libx265", "options": {"x265-params": f"{X265}:open-gop=0"}},
        "stretches",
    ),
    "open_hevc.mkv": (
        {"codec": "libx265", "options": {"x265-params": f"{X265}:open-gop=1"}},
        "tail",
    ),
    "repeated_headers.mkv": (
        {"codec": "libx265", "options": {"x265-params": f"{X265}:open-gop=0:repeat-headers=1"}},
        "stretches",
    ),
    "vp9.webm": ({"codec": "libvpx-vp9", "options": {"g": "20", "speed": "5"}}, "stretches"),
    "vp9_alt_ref.mp4": (
        {"codec": "libvpx-vp9", "options": {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16"}},
        "stretches",
    ),
    "baseline.mp4": ({"options": {"g": "15", "profile": "baseline"}}, "stretches"),
    "chroma.mp4": ({"pix_fmt": "yuv444p", "options": {"g": "15"}}, "stretches"),
    "layers_hevc.mp4": (
        {"codec": "libx265", "options": {"x265-params": f"{X265}:open-gop=0:temporal-layers=3"}},
        "stretches",
    ),
    "mpeg4.mp4": ({"codec": "mpeg4", "options": {"g": "10", "bf": "2"}}, "nothing"),
    "b_frames.avi": ({"codec": "mpeg4", "options": {"g": "10", "bf": "2"}}, "nothing"),
    "broadcast.ts": ({"options": {"g": "15"}}, "nothing"),
    "interlaced.mp4": ({"options": {"g": "15", "flags": "+ilme+ildct"}}, "nothing"),
    "interlaced_main.mkv": (
        {"options": {"g": "15", "profile": "main", "flags": "+ilme+ildct"}},
        "nothing",
    ),
    "variable.mkv": (
        {"options": {"g": "15"}, "pts": [40 * n + n * n % 23 for n in range(FRAMES)]},
        "stretches",
    ),
    "late.mkv": (
        {"options": {"g": "15"}, "pts": [8333 + 33 * n for n in range(FRAMES)]},
        "stretches",
    ),
    "fragmented.mp4": (
        {"options": {"g": "15"}, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
        "stretches",
    ),
}


def clips_of(source: Any, rule: ClipRule, **how: Any) -> Result:
    with open_video(source, **how) as video:
        return list(read_clips(video, rule=rule, transform=TRANSFORM)), video.warnings


def clips_of_all(source: Any, rule: ClipRule, **how: Any) -> Result:
    """Return the clips where every picture is decoded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FrameChoice, "of", lambda rule: None)
        return clips_of(source, rule, **how)


def assert_same(found: Result, expected: Result) -> None:
    assert found[1] == expected[1]
    assert [clip.span for clip in found[0]] == [clip.span for clip in expected[0]]
    for clip, reference in zip(found[0], expected[0], strict=True):
        assert torch.equal(clip.frames, reference.frames)


def outcome(read: Callable[[], Result]) -> Result | str:
    """Return the clips, or what the error says."""
    try:
        return read()
    except VideoError as error:
        return str(error)


rules = st.builds(
    ClipRule,
    clip_len=st.integers(1, 8),
    clip_stride=st.none() | st.integers(1, 60),
    frame_stride=st.integers(1, 7),
    fps=st.none() | st.floats(0.5, 60),
    start=st.none() | st.floats(0, 3.5),
    tail=st.sampled_from(["loop", "repeat_last", "zero", "drop"]),
    align=st.sampled_from(["start", "center"]),
) | st.builds(
    ClipRule,
    clip_len=st.integers(1, 4),
    clip_stride=st.integers(20, 100),
    start=st.none() | st.floats(0, 2),
    end=st.floats(2.1, 5),
)
