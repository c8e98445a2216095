"""network -> OpenVINO model, in float32 or quantised to int8 by NNCF.

One output per stage, named as the stage. Both libraries would report usage to their makers over
the internet: what reports is not called, or switched off.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..clip_network import ClipNetwork
from .openvino_threads import away


class _AllStages(nn.Module):
    """The network as a function from clips to the tuple of its stages."""

    def __init__(self, network: ClipNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        return tuple(value for _, value in self.network.run(clips))


@torch.inference_mode(False)
def to_openvino(form: ClipNetwork, *, clip_shape: tuple[int, int, int]) -> Any:
    """Return the ``openvino.Model`` of a folded float32 network; takes clips (N, C, T, H, W).

    ``clip_shape`` is (T, H, W) of the clips that the graph is recorded with. Input and stages may
    be reshaped afterwards.
    """
    from openvino.frontend import FrontEndManager  # optional package
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder  # optional package

    example = torch.zeros(1, form.config.in_channels, *clip_shape)
    with _quiet(), torch.no_grad():
        program = torch.export.export(_AllStages(form).eval(), (example,), strict=False)
        # Not openvino.convert_model, which does the same and reports it.
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchFXPythonDecoder.from_exported_program(program)  # must outlive convert()
        model = frontend.convert(frontend.load(decoder))
    for output, stage in zip(model.outputs, form.stage_names, strict=True):
        output.get_tensor().set_names({stage})
    model.inputs[0].get_tensor().set_names({"clips"})
    return model


@away
def quantise(model: Any, clips: Tensor) -> Any:
    """Return ``model`` with int8 convolutions; the classifier stays in float.

    ``clips``: floating point (N, C, T, H, W), as the network takes them, to measure ranges with.
    """
    os.environ.setdefault("NNCF_CI", "1")  # its own switch against usage reports
    import nncf  # optional package

    before = nncf.nncf_logger.level
    nncf.set_log_level(logging.ERROR)
    try:
        with _quiet():
            return nncf.quantize(
                model,
                nncf.Dataset([clip[None].numpy() for clip in clips]),
                subset_size=len(clips),
                preset=nncf.QuantizationPreset.PERFORMANCE,
                target_device=nncf.TargetDevice.CPU,
                # One layer of many: exact logits cost nothing that can be measured.
                ignored_scope=nncf.IgnoredScope(types=["MatMul"], validate=False),
            )
    finally:
        nncf.set_log_level(before)


class _Nowhere(io.TextIOBase):
    """Takes any text. Never closed: a library may keep the stream that it found."""

    def write(self, text: str) -> int:
        return len(text)


_NOWHERE = _Nowhere()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress bars, advice and deprecations from the user's screen."""
    disabled, handlers = logging.root.manager.disable, list(logging.root.handlers)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(_NOWHERE))
        stack.enter_context(contextlib.redirect_stderr(_NOWHERE))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(disabled)
            # ``logging.warning`` of a library gives the root logger a handler where it has none.
            logging.root.handlers[:] = handlers
