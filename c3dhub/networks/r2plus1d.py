"""R(2+1)D of the 2020 release: each 3D convolution is a spatial one and then a temporal one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..base.checks import check_choice
from ..registry.config import ModelConfig
from .layers import BatchNorm3d, Conv3d
from .resnet import FourLayers, check_layers, make_shortcut


def factor_channels(c_in: int, c_out: int, *, t: int = 3, d: int = 3) -> int:
    """Return the channels between 1xdxd and tx1x1 that give both the weights of one txdxd."""
    return (c_in * c_out * t * d * d) // (c_in * d * d + t * c_out)


class BasicBlock(nn.Module):
    """Two factored 3x3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        mid1, mid2 = factor_channels(c_in, c_out), factor_channels(c_out, c_out)
        self.conv1_s = Conv3d(c_in, mid1, (1, 3, 3), stride=(1, stride, stride))
        self.bn1_s = BatchNorm3d(mid1)
        self.conv1_t = Conv3d(mid1, c_out, (3, 1, 1), stride=(stride, 1, 1))
        self.bn1_t = BatchNorm3d(c_out)
        self.conv2_s = Conv3d(c_out, mid2, (1, 3, 3))
        self.bn2_s = BatchNorm3d(mid2)
        self.conv2_t = Conv3d(mid2, c_out, (3, 1, 1))
        self.bn2_t = BatchNorm3d(c_out)
        self.downsample = make_shortcut("B", c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1_s(self.conv1_s(x)))  # (N, mid1, T, H/s, W/s)
        y = F.relu(self.bn1_t(self.conv1_t(y)))  # (N, c_out, T/s, H/s, W/s)
        y = F.relu(self.bn2_s(self.conv2_s(y)))  # (N, mid2, T/s, H/s, W/s)
        y = self.bn2_t(self.conv2_t(y))  # (N, c_out, T/s, H/s, W/s)
        return F.relu(y + self.downsample(x))


class Bottleneck(nn.Module):
    """A factored 3x3x3 convolution between two 1x1x1 ones, beside a shortcut."""

    expansion = 4

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        planes = c_out // self.expansion
        mid = factor_channels(planes, planes)
        self.conv1 = Conv3d(c_in, planes, 1)
        self.bn1 = BatchNorm3d(planes)
        self.conv2_s = Conv3d(planes, mid, (1, 3, 3), stride=(1, stride, stride))
        self.bn2_s = BatchNorm3d(mid)
        self.conv2_t = Conv3d(mid, planes, (3, 1, 1), stride=(stride, 1, 1))
        self.bn2_t = BatchNorm3d(planes)
        self.conv3 = Conv3d(planes, c_out, 1)
        self.bn3 = BatchNorm3d(c_out)
        self.downsample = make_shortcut("B", c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))  # (N, planes, T, H, W)
        y = F.relu(self.bn2_s(self.conv2_s(y)))  # (N, mid, T, H/s, W/s)
        y = F.relu(self.bn2_t(self.conv2_t(y)))  # (N, planes, T/s, H/s, W/s)
        y = self.bn3(self.conv3(y))  # (N, c_out, T/s, H/s, W/s)
        return F.relu(y + self.downsample(x))


BLOCKS: Mapping[str, type[BasicBlock | Bottleneck]] = {
    "basic": BasicBlock,
    "bottleneck": Bottleneck,
}


class R2Plus1D(FourLayers):
    """R(2+1)D with a factored 7x7x7 stem.

    Parameters
    ----------
    block: ``"basic"`` or ``"bottleneck"``.
    layers: blocks of layer1 to layer4.
    width: channels of the stem; layer1 to layer4 have 1, 2, 4, 8 times as many, bottlenecks 4
        times that.
    """

    def __init__(
        self, config: ModelConfig, *, block: str, layers: Sequence[int], width: int = 64
    ) -> None:
        super().__init__(config)
        check_layers(layers, width)
        check_choice("block", block, tuple(BLOCKS))
        make = BLOCKS[block]
        mid = factor_channels(config.in_channels, width, t=7, d=7)
        self.conv1_s = Conv3d(config.in_channels, mid, (1, 7, 7), stride=(1, 2, 2))
        self.bn1_s = BatchNorm3d(mid)
        self.conv1_t = Conv3d(mid, width, (7, 1, 1))
        self.bn1_t = BatchNorm3d(width)
        self.add_layers([make] * 4, layers, width=width, out=width * make.expansion)

    def run_stem(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1_s(self.conv1_s(x)))  # (N, 110, T, H/2, W/2)
        x = F.relu(self.bn1_t(self.conv1_t(x)))  # (N, 64, T, H/2, W/2)
        return F.max_pool3d(x, 3, stride=2, padding=1)  # (N, 64, T/2, H/4, W/4)
