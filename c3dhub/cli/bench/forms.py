"""The forms of a network that this machine and installation serve, and why not the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch

from ...base.choices import Engine, Precision
from ...extraction.engines import native_bfloat16
from ...extraction.feature_extractor import FeatureExtractor
from ...extraction.options import ComputeOptions

KNOWN_FORMS = (
    ("float32", "torch"),
    ("bfloat16", "torch"),
    ("float16", "torch"),
    ("float32", "openvino"),
    ("bfloat16", "openvino"),
    ("int8", "openvino"),
)
"""(precision, engine), the most exact first."""


@dataclass(frozen=True)
class Form:
    """One way to run a network.

    Parameters
    ----------
    way: its name in tables and figures: precision and engine, e.g. ``"bfloat16 torch"``.
    network: the inference form.
    prepare_seconds: what making it and computing once took, cached parts not made again.
    """

    way: str
    network: FeatureExtractor
    prepare_seconds: float


def prepare_forms(
    network: FeatureExtractor, *, say: Callable[[str], None] = lambda text: None
) -> tuple[list[Form], dict[str, str]]:
    """Return the forms that can be served, and for each other one (by its way) the reason."""
    served: list[Form] = []
    refused: dict[str, str] = {}
    for precision, engine in KNOWN_FORMS:
        way = f"{precision} {engine}"
        say(f"preparing {way}")
        start = time.perf_counter()
        try:
            form = make_form(network, precision=precision, engine=engine)
            _try(form)
        except ValueError as error:
            refused[way] = str(error)
        else:
            served.append(Form(way, form, time.perf_counter() - start))
    return served, refused


def _try(form: FeatureExtractor) -> None:
    """Compute once: an engine compiles only now, and raises ValueError for what it cannot."""
    config = form.config
    side = config.input.crop_size
    # Two clips, because OpenVINO prepares itself differently for one.
    clips = torch.zeros(2, config.in_channels, config.clip_len, side, side, device=form.device)
    with torch.inference_mode():
        form.forward_stages(clips, ("avgpool",))


def make_form(network: FeatureExtractor, *, precision: str, engine: str) -> FeatureExtractor:
    """Return the inference form, or raise ValueError with the reason why it cannot be had."""
    slow = network.device.type == "cpu" and not native_bfloat16(network.device)
    if (precision, engine) == ("bfloat16", "torch") and slow:
        raise ValueError(
            "this CPU has no instructions for bfloat16, which is slower than float32 without them"
        )
    return network.prepared(
        ComputeOptions(precision=cast("Precision", precision), engine=cast("Engine", engine))
    )
