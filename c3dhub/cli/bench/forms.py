"""The forms of a network that this machine and installation serve, and why not the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch

from ...extraction.engines import Engine, Precision, inference_form, native_bfloat16
from ...hub import create_model, load
from ...networks import VideoNetwork

CPU = torch.device("cpu")

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
    precision, engine: as :func:`c3dhub.extraction.engines.inference_form` takes them.
    network: the inference form.
    prepare_seconds: what making it and computing once took, cached parts not made again.
    """

    precision: str
    engine: str
    network: VideoNetwork
    prepare_seconds: float

    @property
    def way(self) -> str:
        """Its name in tables and records, e.g. ``"bfloat16 torch"``."""
        return way_of(self.precision, self.engine)


def way_of(precision: str, engine: str) -> str:
    """Return the name of a form in tables and records."""
    return f"{precision} {engine}"


def prepare_forms(
    network: VideoNetwork, *, say: Callable[[str], None] = lambda text: None
) -> tuple[list[Form], dict[str, str]]:
    """Return the forms that can be served, and for each other one (by its way) the reason."""
    served: list[Form] = []
    refused: dict[str, str] = {}
    for precision, engine in KNOWN_FORMS:
        say(f"preparing {way_of(precision, engine)}")
        start = time.perf_counter()
        try:
            form = make_form(network, precision=precision, engine=engine)
            _try(form)
        except ValueError as error:
            refused[way_of(precision, engine)] = str(error)
            continue
        served.append(Form(precision, engine, form, time.perf_counter() - start))
    return served, refused


def _try(form: VideoNetwork) -> None:
    """Compute once: an engine compiles only now, and raises ValueError for what it cannot."""
    config = form.config
    side = config.input.crop_size
    # Two clips, because OpenVINO prepares itself differently for one.
    clips = torch.zeros(2, config.in_channels, config.clip_len, side, side, device=form.device)
    with torch.inference_mode():
        form.forward_stages(clips, ("avgpool",))


def make_form(network: VideoNetwork, *, precision: str, engine: str) -> VideoNetwork:
    """Return the inference form, or raise ValueError with the reason why it cannot be had."""
    on_cpu = network.device.type == "cpu"
    if (precision, engine) == ("bfloat16", "torch") and on_cpu and not native_bfloat16(CPU):
        raise ValueError(
            "this CPU has no instructions for bfloat16, which is slower than float32 without them"
        )
    return inference_form(
        network, precision=cast("Precision", precision), engine=cast("Engine", engine)
    )


def load_plain(
    name: str,
    *,
    random_weights: bool = False,
    device: str | None = None,
    offline: bool = False,
) -> VideoNetwork:
    """Return the plain network, frozen and in eval mode.

    With ``random_weights`` ``name`` may be an architecture; seed 0, so that two processes have the
    same network.
    """
    if not random_weights:
        return load(name, device=device, local_files_only=offline)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model(name, device=device)
    return network.eval().requires_grad_(False)
