"""The two layers that all networks are made of, quick to build where nothing is to be computed."""

from __future__ import annotations

import torch
from torch import nn

Size = int | tuple[int, int, int]


class Conv3d(nn.Conv3d):
    """A convolution without bias, padded so that stride 1 keeps the size."""

    def __init__(
        self, c_in: int, c_out: int, kernel: Size, *, stride: Size = 1, groups: int = 1
    ) -> None:
        t, h, w = (kernel,) * 3 if isinstance(kernel, int) else kernel
        padding = (t // 2, h // 2, w // 2)
        super().__init__(c_in, c_out, (t, h, w), stride, padding, groups=groups, bias=False)

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:  # on the meta device even doing nothing takes its time
            nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")


class BatchNorm3d(nn.BatchNorm3d):
    """BatchNorm with torch's defaults, left without values on the meta device.

    Filling the five tensors of each would be most of the time that building a network takes.
    """

    def __init__(self, channels: int) -> None:
        empty = torch.empty(channels)
        if not empty.is_meta:
            super().__init__(channels)
            return
        super().__init__(channels, affine=False, track_running_stats=False)
        self.affine = self.track_running_stats = True
        self._parameters["weight"] = nn.Parameter(empty)
        self._parameters["bias"] = nn.Parameter(empty)
        # Their names are registered already, with None.
        self._buffers["running_mean"] = empty
        self._buffers["running_var"] = torch.empty(channels)
        self._buffers["num_batches_tracked"] = torch.empty((), dtype=torch.long)
