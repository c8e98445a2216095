"""Which frames of a video are samples: ``start``, ``end`` and ``fps``, decided by timestamps."""

from __future__ import annotations

from .rule import ClipPlanner, ClipRule

# Matroska rounds timestamps to 1 ms, so a frame may seem up to half of that late for its sample.
_ROUNDING_SECONDS = 0.0005 + 1e-9


class SampleClock:
    """Turns frames with timestamps into samples: applies ``start``, ``end`` and ``fps``."""

    def __init__(self, rule: ClipRule) -> None:
        self.rule = rule
        self._origin: float | None = None
        self._n_samples = 0

    def is_over(self, seconds: float) -> bool:
        """Return whether a frame at ``seconds`` and all after it lie behind ``end``."""
        return self.rule.end is not None and seconds >= self.rule.end

    def samples(self, seconds: float, end_seconds: float) -> list[tuple[float, float]]:
        """Return (start, end) in seconds of each sample that takes this frame: none, one or more.

        Example: at ``fps=10`` a frame shown from 0.0 to 0.25 s gives the samples at 0.0, 0.1, 0.2.
        """
        if self.is_over(seconds) or (self.rule.start is not None and seconds < self.rule.start):
            return []
        if self.rule.fps is None:
            return [(seconds, end_seconds)]
        if self._origin is None:
            self._origin = seconds
        tolerance = min(_ROUNDING_SECONDS, (end_seconds - seconds) / 4)
        taken = []
        while (time := self._time(self._n_samples)) < end_seconds - tolerance:
            if self.is_over(time):
                break
            taken.append((time, self._time(self._n_samples + 1)))
            self._n_samples += 1
        return taken

    def _time(self, sample: int) -> float:
        assert self._origin is not None
        assert self.rule.fps is not None
        return self._origin + sample / self.rule.fps


class FrameChoice:
    """Tells which frames of a video are in any clip, from their times alone, however long it is.

    Called with (seconds, end_seconds) of each frame, in order.
    """

    def __init__(self, rule: ClipRule) -> None:
        self._clock = SampleClock(rule)
        self._planner = ClipPlanner(rule)
        self._n_samples = 0

    def __call__(self, seconds: float, end_seconds: float) -> bool:
        first = self._n_samples
        self._n_samples += len(self._clock.samples(seconds, end_seconds))
        return any(map(self._planner.needs, range(first, self._n_samples)))

    @classmethod
    def of(cls, rule: ClipRule) -> FrameChoice | None:
        """Return the choice that a rule makes; None where it takes every frame up to the last."""
        if rule.fps is not None or rule.start is not None:
            return cls(rule)
        period = range(rule.span, rule.span + rule.stride)
        return None if all(map(ClipPlanner(rule).needs, period)) else cls(rule)
