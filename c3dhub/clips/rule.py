"""Which frames make which clip: index arithmetic alone, no decoder and no tensors.

A video is first reduced to a row of *samples* (all frames, or the frames nearest before every
``1 / fps`` seconds, between ``start`` and ``end``), numbered 0, 1, 2, ...; then clips are cut out
of that row. With ``clip_len=4, clip_stride=3`` ten samples give::

    0 1 2 3 4 5 6 7 8 9
    [-----]                    clip 0: 0 1 2 3
          [-----]              clip 1: 3 4 5 6
                [-----]        clip 2: 6 7 8 9
                      [-----]  clip 3: 9 9 9 9   overruns: looped, n_valid 1, and the last

Sources of the two presets: ``sliding`` is the sliding window of the authors' 2020 code, completed
by looping; ``paper2018`` is their feature extractor of 2018, which pads nothing and drops the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from ..base.checks import check_choice, check_count, check_number
from ..base.option_field import option

Tail = Literal["loop", "repeat_last", "zero", "drop"]
Align = Literal["start", "center"]
Preset = Literal["sliding", "paper2018"]

ZERO_FRAME = -1
"""Stands for a black frame in :attr:`ClipWindow.positions` (``tail="zero"``)."""


@dataclass(frozen=True)
class ClipOptions:
    """How a video is to be cut into clips, before it is known for which network.

    Parameters
    ----------
    clip_len: frames of a clip, at least 1; None is what the network was trained with (16 or 64).
    clip_stride: samples between clip starts; None takes ``clip_len * frame_stride``, so that clips
        touch and neither overlap nor leave gaps.
    frame_stride: samples between the frames of a clip.
    fps: samples per second, by timestamps: each sample is the nearest earlier frame. None takes
        every frame.
    start, end: seconds, half-open, on the clock of the video; None is its beginning or end.
    tail: what completes a clip that overruns: ``"loop"`` repeats its own frames from its first,
        ``"repeat_last"`` its last one (at the beginning of a centred clip: its first),
        ``"zero"`` takes black frames. ``"drop"`` leaves such clips out, but a video too short for
        a single whole clip still gives one, looped.
    align: ``"start"``: the clip begins at its anchor; ``"center"``: sample ``clip_len // 2`` of the
        clip is the anchor. Anchors are the samples 0, ``clip_stride``, ``2 * clip_stride``, ...
    preset: ``"sliding"``: the first clip that overruns is completed and is the last.
        ``"paper2018"``: clips start while ``start < n - span`` and nothing is padded, so that with
        16-frame clips 16 frames give no clip and 32 frames give one.

    Raises ValueError or TypeError for values that no video could be cut by.
    """

    clip_len: int | None = option(
        None, "frames of a clip (default: the model's)", metavar="N", kind=int
    )
    clip_stride: int | None = option(
        None, "frames between clip starts (default: clips touch)", metavar="N", kind=int
    )
    frame_stride: int = option(
        1, "frames between the frames of a clip (default: 1)", metavar="N", kind=int
    )
    fps: float | None = option(None, "resample to X frames per second", metavar="X", kind=float)
    start: float | None = option(None, "seconds to start at", metavar="S", kind=float)
    end: float | None = option(None, "seconds to end before", metavar="S", kind=float)
    tail: Tail = option(
        "loop", "what completes the last clip (default: loop)", choices=get_args(Tail)
    )
    align: Align = option(
        "start",
        "a clip starts at its time or is centred on it (default: start)",
        choices=get_args(Align),
    )
    preset: Preset = option(
        "sliding",
        "sliding (default) or paper2018, which pads nothing",
        choices=get_args(Preset),
    )

    def __post_init__(self) -> None:
        for name in ("clip_len", "clip_stride", "frame_stride"):
            if getattr(self, name) is not None or name == "frame_stride":
                check_count(name, getattr(self, name), of="frames")
        for name in ("fps", "start", "end"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), positive=name == "fps")
        for name, known in (("tail", Tail), ("align", Align), ("preset", Preset)):
            check_choice(name, getattr(self, name), get_args(known))
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(
                f"end is {self.end} s and start {self.start} s; end must lie after start"
            )
        if self.preset == "paper2018" and (self.tail != "loop" or self.align != "start"):
            raise ValueError(
                f"preset='paper2018' contradicts tail={self.tail!r}, align={self.align!r}: it pads "
                "nothing and begins at the start; leave tail and align at their defaults"
            )

    def rule(self, clip_len: int) -> ClipRule:
        """Return the rule for a network that was trained with ``clip_len`` frames."""
        given = {each.name: getattr(self, each.name) for each in fields(ClipOptions)}
        return ClipRule(**{**given, "clip_len": self.clip_len or clip_len})


@dataclass(frozen=True)
class ClipRule(ClipOptions):
    """How a video is cut into clips: :class:`ClipOptions` whose ``clip_len`` is settled, 16 if none
    is given."""

    clip_len: int = 16

    def __post_init__(self) -> None:
        check_count("clip_len", self.clip_len, of="frames")
        super().__post_init__()

    @property
    def stride(self) -> int:
        """Samples between anchors, the default filled in."""
        return self.clip_stride or self.clip_len * self.frame_stride

    @property
    def span(self) -> int:
        """Samples from the first frame of a clip to its last, both counted."""
        return (self.clip_len - 1) * self.frame_stride + 1

    @property
    def lead(self) -> int:
        """Samples by which a clip begins before its anchor."""
        return self.clip_len // 2 * self.frame_stride if self.align == "center" else 0

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as plain values, the default clip stride filled in."""
        return {**asdict(self), "clip_stride": self.stride}


@dataclass(frozen=True)
class ClipWindow:
    """One clip: ``clip_len`` sample numbers, :data:`ZERO_FRAME` where it takes a black frame.

    ``valid`` lists the samples that lie inside the video, in order; the other places repeat some of
    them or are black.
    """

    anchor: int
    positions: tuple[int, ...]
    valid: tuple[int, ...]

    @property
    def n_valid(self) -> int:
        """Places of the clip that were not padded."""
        return len(self.valid)


class ClipPlanner:
    """The clips of a video whose length is not known yet, in memory bounded by the rule.

    Call :meth:`push` once per sample, :meth:`finish` at the end; each returns the clips that became
    certain. Samples below :attr:`keep_from` are never asked for again, and samples for which
    :meth:`needs` is False never are.
    """

    def __init__(self, rule: ClipRule) -> None:
        self.rule = rule
        self.n_samples = 0
        self._anchor = 0
        self._n_planned = 0
        self._fallback: ClipWindow | None = None
        # The 2018 extractor takes a window only when at least one frame follows it.
        self._beyond = 1 if rule.preset == "paper2018" else 0

    @property
    def keep_from(self) -> int:
        """The lowest sample number that a later clip can still take."""
        first = self._anchor - self.rule.lead
        if self._fallback is not None:
            first = min(first, self._fallback.valid[0])
        return max(first, 0)

    def needs(self, position: int) -> bool:
        """Return whether any clip takes the sample ``position``, however long the video is."""
        rule = self.rule
        # Places k of a clip hold sample  anchor - lead + k * frame_stride.
        offsets = range(0, rule.span, rule.frame_stride)
        return any(
            (position + rule.lead - offset) % rule.stride == 0
            and position + rule.lead - offset >= 0
            for offset in offsets
        )

    def push(self) -> list[ClipWindow]:
        """Count one more sample and return the clips that are complete now."""
        self.n_samples += 1
        clips: list[ClipWindow] = []
        while self._anchor - self.rule.lead + self.rule.span + self._beyond <= self.n_samples:
            window = _window(self.rule, self._anchor, self.n_samples)
            self._anchor += self.rule.stride
            if self.rule.tail == "drop" and window.n_valid < self.rule.clip_len:
                self._consider(window)
            else:
                clips.append(window)
                self._fallback = None
        self._n_planned += len(clips)
        return clips

    def finish(self) -> list[ClipWindow]:
        """Return the clips at the end of the video, completed as the rule says."""
        if self.rule.preset == "paper2018":
            return []
        clips = list(self._overrunning())
        if self.rule.tail == "drop":
            for window in clips:
                self._consider(window)
            clips = [self._fallback] if self._fallback is not None else []
        return clips

    def _overrunning(self) -> Iterator[ClipWindow]:
        while self._anchor < self.n_samples:
            yield _window(self.rule, self._anchor, self.n_samples)
            self._anchor += self.rule.stride
            if self.rule.align == "start":
                return

    def _consider(self, window: ClipWindow) -> None:
        """Keep the fullest clip that ``drop`` would leave out, in case that there is no other."""
        if self._n_planned:
            return
        if self._fallback is None or window.n_valid > self._fallback.n_valid:
            self._fallback = window


def _window(rule: ClipRule, anchor: int, n_samples: int) -> ClipWindow:
    first = anchor - rule.lead
    wanted = range(first, first + rule.span, rule.frame_stride)
    valid = tuple(position for position in wanted if 0 <= position < n_samples)
    if len(valid) == rule.clip_len:
        return ClipWindow(anchor, valid, valid)
    shift = next(k for k, position in enumerate(wanted) if 0 <= position < n_samples)
    positions = (_padded(rule.tail, valid, k - shift) for k in range(rule.clip_len))
    return ClipWindow(anchor, tuple(positions), valid)


def _padded(tail: Tail, valid: tuple[int, ...], k: int) -> int:
    """Return the sample for place ``k`` of a clip, counted from its first valid place."""
    if 0 <= k < len(valid):
        return valid[k]
    if tail == "zero":
        return ZERO_FRAME
    if tail == "repeat_last":
        return valid[-1] if k > 0 else valid[0]
    return valid[k % len(valid)]
