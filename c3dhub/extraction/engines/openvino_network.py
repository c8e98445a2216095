"""A network on OpenVINO: the same stages, several clips at once, one per stream of the CPU."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...registry.config import InputContract
from ..clip_network import Pending, Rows
from ..feature_extractor import FeatureExtractor
from .openvino_threads import away

_MOST_PLANS = 8  # each holds memory for the activations of several clips


class CompiledNetwork(FeatureExtractor):
    """The inference form of a network on OpenVINO.

    Made by :meth:`FeatureExtractor.prepared`. It computes what the plain network computes and names
    itself the same in the provenance, but has no parameters and cannot be saved, trained or
    pickled. It is compiled once per shape of clips and set of stages.
    """

    def __init__(
        self, plain: FeatureExtractor, model: Any, *, precision: str, recipe: Mapping[str, Any]
    ) -> None:
        super().__init__(plain.config)
        self.stage_names = plain.stage_names  # type: ignore[misc]
        self.num_features = plain.num_features
        self.become_form_of(plain, precision=precision, engine="openvino")
        self._plain_names = frozenset(dir(type(plain)))
        self.recipe = recipe  # calibration and versions, for the provenance
        self._model = model
        self._n_threads = torch.get_num_threads()
        self._plans: dict[_Plan, _Lanes] = {}
        self._lock = threading.Lock()
        self.requires_grad_(False).eval()

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """float32, whatever is used inside."""
        return torch.float32

    def forward_stages(self, clips: Tensor, stages: Sequence[str]) -> dict[str, Tensor]:
        self.check_stages(stages)
        self._check_clips(clips)
        if len(clips) == 0:
            raise ValueError(f"clips have shape {tuple(clips.shape)}: there is no clip in them")
        pixels = clips.detach().float().contiguous().cpu().numpy()
        plan = _Plan(
            pixels.shape[1:], tuple(stages), pool=False, contract=None, alone=len(clips) == 1
        )
        return {
            name: torch.from_numpy(value) for name, value in self._begin(pixels, plan)().items()
        }

    def start(self, frames: Tensor, *, stages: Sequence[str], pool: bool) -> Pending:
        contract = self.config.input
        plan = _Plan(tuple(frames.shape[1:]), tuple(stages), pool=pool, contract=contract)
        return self._begin(frames.contiguous().numpy(), plan)

    def _begin(self, clips: NDArray[Any], plan: _Plan) -> Pending:
        with self._lock:
            if plan not in self._plans:
                if len(self._plans) == _MOST_PLANS:
                    self._plans.pop(next(iter(self._plans)))  # the oldest
                self._plans[plan] = _Lanes(self._compile(plan), plan.stages)
            lanes = self._plans[plan]
        return lanes.start(clips)

    @away
    def _compile(self, plan: _Plan) -> Any:
        import openvino  # optional package

        core = openvino.Core()
        try:
            model = plan.prepare(self._model.clone())
            return core.compile_model(model, "CPU", self._settings(plan))
        except RuntimeError as error:
            shape = "x".join(map(str, plan.clip_shape))
            raise ValueError(
                f"OpenVINO cannot compute {self.config.architecture} for clips of {shape}; "
                "engine='torch' can, in float32 and bfloat16"
            ) from error

    def _settings(self, plan: _Plan) -> dict[str, Any]:
        inner = "bf16" if self.inference_precision == "bfloat16" else "f32"
        return {
            "INFERENCE_PRECISION_HINT": inner,
            "INFERENCE_NUM_THREADS": min(self._n_threads, os.cpu_count() or 1),
            # Streams compute a clip each, in step with nobody: a decoder that takes a core for a
            # moment delays one clip, not all. A clip alone gets all the cores.
            "PERFORMANCE_HINT": "LATENCY" if plan.alone else "THROUGHPUT",
        }

    def engine_details(self) -> Mapping[str, Any]:
        return {
            "calibration": self.recipe["calibration"],
            "engine_versions": self.recipe["versions"],
        }

    def identity(self) -> Any:
        return self.recipe

    def __getattr__(self, name: str) -> Any:
        """Say why what the plain network has, such as ``reset_classifier``, is not here."""
        if not name.startswith("_") and name in self._plain_names:
            raise InferenceFormError(self._refusal(name))
        return super().__getattr__(name)

    def __getstate__(self) -> NoReturn:
        raise TypeError(self._refusal("a pickle or a copy"))

    def _refusal(self, what: str) -> str:
        return (
            f"this is the inference form of {self.config.name} on OpenVINO, which cannot have "
            f"{what}; load the model without precision for that"
        )


class InferenceFormError(ValueError, AttributeError):
    """Something that only the plain network has: ``hasattr`` is False for it."""


@dataclass(frozen=True)
class _Plan:
    """What is compiled: shape of one clip, stages, what is done before and after.

    ``contract``: clips are uint8 (T, H, W, C) and are normalised by it; None: they are float32
    (C, T, H, W), ready.
    """

    clip_shape: tuple[int, ...]
    stages: tuple[str, ...]
    pool: bool
    contract: InputContract | None
    alone: bool = False

    def prepare(self, model: Any) -> Any:
        """Cut ``model`` down to the stages, fix its shape, add normalisation and pooling."""
        import openvino  # optional package
        from openvino import opset13  # optional package

        outputs = []
        for stage in self.stages:
            value = model.output(stage).node.input_value(0)
            if self.pool and len(value.get_partial_shape()) == 5:
                value = opset13.reduce_mean(value, np.array([2, 3, 4]), keep_dims=False).output(0)
            outputs.append(value)
        cut = openvino.Model(outputs, model.get_parameters(), model.get_friendly_name())
        shape = self.clip_shape
        cut.reshape([1, *(shape if self.contract is None else (shape[3], *shape[:3]))])
        return cut if self.contract is None else _with_normalisation(cut, self.contract)


def _with_normalisation(model: Any, contract: InputContract) -> Any:
    from openvino import Layout, Type  # optional package
    from openvino.preprocess import PrePostProcessor  # optional package

    unit = 255 / contract.max_value  # (p / unit - mean) / std == (p - mean * unit) / (std * unit)
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(Type.u8).set_layout(Layout("NDHWC"))
    steps.input().model().set_layout(Layout("NCDHW"))
    steps.input().preprocess().convert_element_type(Type.f32).mean(
        [mean * unit for mean in contract.mean]
    ).scale([std * unit for std in contract.std])
    return steps.build()


class _Lanes:
    """Requests that run at the same time; the oldest is waited for when all are busy."""

    def __init__(self, compiled: Any, stages: Sequence[str]) -> None:
        # Twice as many as can run, so that a stream that is done finds the next clip waiting.
        n_requests = 2 * compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._stages = stages
        self._idle = [compiled.create_infer_request() for _ in range(n_requests)]
        # Request, its clips, which must stay alive until it is done, and where its stages go.
        self._busy: deque[tuple[Any, NDArray[Any], list[NDArray[np.float32]]]] = deque()
        self._lock = threading.RLock()

    def start(self, clips: NDArray[Any]) -> Pending:
        rows: list[list[NDArray[np.float32]]] = [[] for _ in range(len(clips))]
        for number, row in enumerate(rows):
            with self._lock:
                if not self._idle:
                    self._finish_oldest()
                request = self._idle.pop()
                request.start_async([clips[number : number + 1]], share_inputs=True)
                self._busy.append((request, clips, row))

        def result() -> Rows:
            while True:
                with self._lock:
                    if all(rows):
                        columns = zip(*rows, strict=True)
                        return dict(zip(self._stages, map(np.stack, columns), strict=True))
                    self._finish_oldest()

        return result

    def _finish_oldest(self) -> None:
        request, _, row = self._busy.popleft()
        try:
            request.wait()
            row += [
                np.array(request.get_output_tensor(k).data[0], np.float32)
                for k in range(len(self._stages))
            ]
        finally:
            self._idle.append(request)
