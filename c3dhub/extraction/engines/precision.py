"""Which precisions and engines this machine and this installation can serve."""

from __future__ import annotations

import importlib.util
import platform
import warnings
from functools import cache
from typing import get_args

import torch

from ...base.checks import check_choice
from ...base.choices import Engine, Precision
from .openvino_threads import away

EXTRA_HINT = "pip install 'c3dhub[openvino]'"


def resolve(precision: str, engine: str | None, device: torch.device) -> tuple[str, str]:
    """Return the (precision, engine) that are meant on ``device``.

    Parameters
    ----------
    precision: ``"auto"`` becomes bfloat16 where the hardware computes it natively, else float32.
    engine: None is OpenVINO for int8, else torch.

    Raises ValueError for what device, hardware or installation cannot serve, and says what works.
    """
    check_choice("precision", precision, get_args(Precision))
    if engine is not None:
        check_choice("engine", engine, get_args(Engine))
    engine = engine or ("openvino" if precision == "int8" else "torch")
    if engine == "openvino":
        return _for_openvino(precision, device), engine
    return _for_torch(precision, device), engine


def native_bfloat16(device: torch.device) -> bool:
    """Return whether the hardware multiplies bfloat16 itself rather than by way of float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return any(_cpu_has(feature) for feature in ("avx512_bf16", "amx_tile"))
    return False


def _cpu_has(feature: str) -> bool:
    """Return what torch knows of the CPU; the oldest versions know nothing, which counts as no."""
    asked = getattr(torch.cpu, f"_is_{feature}_supported", None)
    return asked is not None and bool(asked())


@cache
@away
def openvino_capabilities() -> frozenset[str]:
    """Return what OpenVINO says this CPU computes: ``"FP32"``, ``"BF16"``, ``"INT8"``, ..."""
    import openvino  # optional package

    return frozenset(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def _for_torch(precision: str, device: torch.device) -> str:
    if precision == "auto":
        return "bfloat16" if native_bfloat16(device) else "float32"
    if precision == "int8":
        raise ValueError(
            "precision is 'int8' and engine 'torch', which has no int8 for 3D convolutions; leave "
            "engine out, or use 'bfloat16' or 'float32'"
        )
    if precision == "float16" and device.type == "cpu":
        raise ValueError(
            "precision is 'float16', which CPUs compute slowly and inexactly; use 'bfloat16' or "
            "'float32' here, 'float16' on a GPU"
        )
    if precision == "bfloat16" and device.type == "cpu" and not native_bfloat16(device):
        warnings.warn(
            f"this CPU ({platform.machine()}) has no instructions for bfloat16: it is slower than "
            "float32 here. precision='auto' takes what the hardware is made for",
            stacklevel=2,
        )
    return precision


def _for_openvino(precision: str, device: torch.device) -> str:
    wanted = f"precision {precision!r} on OpenVINO" if precision != "int8" else "precision 'int8'"
    if device.type != "cpu":
        raise ValueError(
            f"{wanted} runs on CPUs only and the device is {device}; pass device='cpu', or use "
            "'bfloat16' or 'float16' with engine='torch' there"
        )
    needed = ["openvino", "nncf"] if precision == "int8" else ["openvino"]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{wanted} needs {' and '.join(missing)}, not installed here: "
            f"{EXTRA_HINT}. Without it 'bfloat16' and 'float32' work with engine='torch'"
        )
    if precision == "float16":
        raise ValueError(
            "precision is 'float16', which OpenVINO computes on few CPUs; use 'bfloat16', 'int8' "
            "or 'float32' here"
        )
    able = openvino_capabilities()
    if precision == "auto":
        return "bfloat16" if "BF16" in able else "float32"
    feature = {"bfloat16": "BF16", "int8": "INT8"}.get(precision)
    if feature is not None and feature not in able:
        raise ValueError(
            f"{wanted} needs a CPU with {feature} instructions, and this one has "
            f"{', '.join(sorted(able))}; use 'float32'"
        )
    return precision
