"""Where to compute."""

from __future__ import annotations

import torch


def best_device() -> str:
    """Return ``"cuda"``, ``"mps"`` or ``"cpu"``: the first of these that is there."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Return the device that is meant, None meaning the best one. Raises ValueError if unusable."""
    try:
        found = torch.device(best_device() if device is None else device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split()[:12])
        raise ValueError(
            f"device is {str(device)!r}, which cannot be used here ({reason} ...); the best device "
            f"of this machine is {best_device()!r}"
        ) from error
    return found
