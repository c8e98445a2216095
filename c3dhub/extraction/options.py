"""The options of everything that extracts features, each declared once.

A new option is a field here, or of :class:`c3dhub.ClipOptions` where it is about how clips are cut,
and its line in the keywords below, which say what function takes it. Signatures, ``help()``, checks
and the arguments of the command line follow from the fields. No torch here: ``--help`` needs it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast, get_args

from ..base.checks import check_choice
from ..base.choices import Decode, Engine, Errors, Precision
from ..base.errors import near_matches
from ..base.option_field import option, words
from ..clips.rule import Align, ClipOptions, Preset, Tail

if TYPE_CHECKING:
    import torch

    from ..video import VideoSource

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class OutputOptions:
    """What is kept of the network's answers.

    Parameters
    ----------
    stages: ``"stem"``, ``"layer1"`` .. ``"layer4"`` (DenseNet: ``"denseblock1"`` .. ``"4"``),
        ``"avgpool"``, ``"logits"``.
    pool: True gives (n_clips, C) per stage, the mean over time and space; False gives the maps
        (n_clips, C, T', H', W'). ``avgpool`` and ``logits`` are (n_clips, D) either way.
    """

    stages: Sequence[str] = option(
        ("avgpool",),
        "stages, separated by commas: stem, layer1 .. layer4 (DenseNet: denseblock1 .. 4), "
        "avgpool, logits (default: avgpool)",
        metavar="A,B",
        kind=words,
    )
    pool: bool = option(True, "the mean of maps over time and space instead of the whole maps")


@dataclass(frozen=True)
class ComputeOptions:
    """How the network computes.

    Parameters
    ----------
    precision: ``"float32"`` (default) stays within 1e-5 of the plain network; ``"bfloat16"``;
        ``"float16"`` on CUDA and MPS only; ``"int8"`` on CPUs, by OpenVINO; ``"auto"``: bfloat16
        where the hardware computes it natively, else float32.
    engine: ``"torch"`` or ``"openvino"`` (CPUs, needs ``c3dhub[openvino]``); None is OpenVINO for
        int8, else torch. OpenVINO takes seconds to prepare a network for the first time; the result
        is kept in ``C3DHUB_HOME``, and the next process has it at once.
    device: where to compute; None leaves a network where it is and loads a name to the best one.
    calibration: int8 alone: videos that are like those to come, to measure the ranges with; None
        takes the bundled clips, so that all machines get the same features.
    """

    precision: Precision | None = option(
        None, "default: float32; auto: what the hardware is for", choices=get_args(Precision)
    )
    engine: Engine | None = option(
        None,
        "what computes (default: torch, for int8 openvino); see `c3dhub bench`",
        choices=get_args(Engine),
    )
    device: str | torch.device | None = option(
        None, "cpu, cuda, cuda:1, mps (default: the best)", metavar="NAME"
    )
    calibration: Sequence[VideoSource] | None = option(
        None,
        "int8: measure ranges with this video, may be repeated (default: bundled clips)",
        metavar="VIDEO",
        repeated=True,
    )

    def __post_init__(self) -> None:
        for name, known in (("precision", Precision), ("engine", Engine)):
            if getattr(self, name) is not None:
                check_choice(name, getattr(self, name), get_args(known))


@dataclass(frozen=True)
class ReadOptions:
    """How videos are read.

    Parameters
    ----------
    batch_size: clips that go through the network at once; None fits them to the free memory.
    errors: ``"raise"``: a video that yields no frame is an error, one that breaks off gives what
        came before, and ``Features.warnings`` says so. ``"strict"``: any decoding error is one.
    decode: ``"exact"``, or ``"fast"``: coarser pixels, see :func:`c3dhub.video.open_video`.
    """

    batch_size: int | None = option(
        None, "clips at once (default: fitted to the free memory)", metavar="N", kind=int
    )
    errors: Errors = option(
        "raise",
        "raise (default): keep what came before a decoding error; strict: the video fails",
        choices=get_args(Errors),
    )
    decode: Decode = option(
        "exact",
        "fast: H.264 and large frames in less time, pixels off by about one grey level",
        choices=get_args(Decode),
    )

    def __post_init__(self) -> None:
        size = self.batch_size
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            raise ValueError(f"batch_size is {size!r}; it must be a whole number above 0 or None")
        check_choice("errors", self.errors, get_args(Errors))
        check_choice("decode", self.decode, get_args(Decode))


@dataclass(frozen=True)
class ExtractOptions(ReadOptions, ComputeOptions, ClipOptions, OutputOptions):
    """All of them in one value, checked when it is made.

    Example: ``options = c3dhub.ExtractOptions(fps=15, stages=("layer4",))``, then
    ``c3dhub.extract_features("video.mp4", model=model, options=options)``.
    """

    def __post_init__(self) -> None:
        for part in (ReadOptions, ComputeOptions, ClipOptions):
            part.__post_init__(self)

    @classmethod
    def of(
        cls, options: Options | None, given: Mapping[str, Any], keywords: type
    ) -> ExtractOptions:
        """Return ``options`` with what is ``given`` by keyword in its place.

        Raises ValueError where ``options`` asks for something that is none of ``keywords``;
        calibration, which no function has a keyword for, goes with the precision everywhere.
        """
        values = _values(options)
        for name in values.keys() - names_of(keywords) - {"calibration"}:
            if values[name] != DEFAULTS[name]:
                raise ValueError(
                    f"options has {name}={values[name]!r}, for which there is no use here; leave "
                    f"it at {DEFAULTS[name]!r}"
                )
        return cls(**{**values, **given})


DEFAULTS: Mapping[str, Any] = {each.name: each.default for each in fields(ExtractOptions)}
"""Option -> its value where nobody asks for another."""

Options = ClipOptions | ComputeOptions | OutputOptions | ReadOptions
"""What ``options=`` takes: :class:`ExtractOptions`, or the part of it that matters."""


class CommonKeywords(TypedDict, total=False):
    """What every function that extracts features takes."""

    clip_len: int | None
    clip_stride: int | None
    frame_stride: int
    fps: float | None
    precision: Precision | None
    engine: Engine | None
    device: str | torch.device | None
    batch_size: int | None
    decode: Decode


class RowKeywords(CommonKeywords, total=False):
    """What functions take that make one row of a video: ``probe``, ``VideoFeatures``."""

    stages: Sequence[str]
    tail: Tail


class EvaluateKeywords(CommonKeywords, total=False):
    """What ``evaluate`` takes."""

    errors: Errors


class ClassifyKeywords(EvaluateKeywords, total=False):
    """What ``classify`` takes: how a whole video is cut, and nothing about what is kept."""

    start: float | None
    end: float | None
    tail: Tail
    align: Align
    preset: Preset


class ExtractKeywords(ClassifyKeywords, total=False):
    """What ``extract_features`` and ``extract_many`` take: everything."""

    stages: Sequence[str]
    pool: bool


def takes(keywords: type) -> Callable[[F], F]:
    """Show the options in ``keywords`` in the signature of a function, and refuse all others.

    The function is written with ``options: Options | None = None, **given: Unpack[keywords]`` at
    its end and begins with ``ExtractOptions.of(options, given, keywords)``.
    """
    taken = [each for each in fields(ExtractOptions) if each.name in names_of(keywords)]

    def decorate(function: F) -> F:
        shown = inspect.signature(function)
        known = [*shown.parameters, *(f.name for f in taken)]
        own = [p for p in shown.parameters.values() if p.kind is not p.VAR_KEYWORD]
        added = [
            inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default,
                              annotation=f.type)
            for f in taken
        ]  # fmt: skip

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            _refuse_unknown(function.__qualname__, kwargs, known)
            return function(*args, **kwargs)

        checked.__signature__ = shown.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        listed = "\n".join(f"{f.name}: {f.metadata['help']}" for f in taken)
        checked.__doc__ = f"{inspect.getdoc(function)}\n\nOptions\n-------\n{listed}\n"
        return cast("F", checked)

    return decorate


def _refuse_unknown(function: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            hint = near_matches(name, known)
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}.{hint}")


def names_of(keywords: type) -> frozenset[str]:
    """Return the options that functions with these keywords take."""
    names: frozenset[str] = keywords.__optional_keys__  # type: ignore[attr-defined]
    return names


def _values(options: object) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, get_args(Options)):
        raise TypeError(
            f"options is {options!r}; it must be a c3dhub.ExtractOptions, or a part of it such as "
            "c3dhub.ClipOptions"
        )
    return {each.name: getattr(options, each.name) for each in fields(cast("Any", options))}
