"""R(2+1)D of the 2020 release: each 3D convolution is a spatial one and then a temporal one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..base.errors import near_matches
from ..registry.config import ModelConfig
from .layers import BatchNorm3d, Conv3d
from .network import VideoNetwork
from .resnet import check_layers, make_layer, make_shortcut


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


class R2Plus1D(VideoNetwork):
    """R(2+1)D with a factored 7x7x7 stem.

    Parameters
    ----------
    block: ``"basic"`` or ``"bottleneck"``.
    layers: blocks of layer1 to layer4.
    width: channels of the stem; layer1 to layer4 have 1, 2, 4, 8 times as many, bottlenecks 4
        times that.
    """

    stage_names = ("stem", "layer1", "layer2", "layer3", "layer4", "avgpool", "logits")

    def __init__(
        self, config: ModelConfig, *, block: str, layers: Sequence[int], width: int = 64
    ) -> None:
        super().__init__(config)
        check_layers(layers, width)
        if block not in BLOCKS:
            raise ValueError(
                f"block is {block!r}; it must be one of {', '.join(BLOCKS)}."
                f"{near_matches(block, BLOCKS)}"
            )
        make = BLOCKS[block]
        mid = factor_channels(config.in_channels, width, t=7, d=7)
        out = width * make.expansion
        self.conv1_s = Conv3d(config.in_channels, mid, (1, 7, 7), stride=(1, 2, 2))
        self.bn1_s = BatchNorm3d(mid)
        self.conv1_t = Conv3d(mid, width, (7, 1, 1))
        self.bn1_t = BatchNorm3d(width)
        self.layer1 = make_layer(make, width, out, layers[0], stride=1)
        self.layer2 = make_layer(make, out, out * 2, layers[1], stride=2)
        self.layer3 = make_layer(make, out * 2, out * 4, layers[2], stride=2)
        self.layer4 = make_layer(make, out * 4, out * 8, layers[3], stride=2)
        self.num_features = out * 8
        self.fc = nn.Linear(self.num_features, config.num_classes)

    def run(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:  # channels: basic blocks, width 64
        x = F.relu(self.bn1_s(self.conv1_s(x)))  # (N, 110, T, H/2, W/2)
        x = F.relu(self.bn1_t(self.conv1_t(x)))  # (N, 64, T, H/2, W/2)
        x = F.max_pool3d(x, 3, stride=2, padding=1)  # (N, 64, T/2, H/4, W/4)
        yield "stem", x
        x = self.layer1(x)  # (N, 64, T/2, H/4, W/4)
        yield "layer1", x
        x = self.layer2(x)  # (N, 128, T/4, H/8, W/8)
        yield "layer2", x
        x = self.layer3(x)  # (N, 256, T/8, H/16, W/16)
        yield "layer3", x
        x = self.layer4(x)  # (N, 512, T/16, H/32, W/32)
        yield "layer4", x
        x = x.mean((2, 3, 4))  # (N, 512)
        yield "avgpool", x
        yield "logits", self.fc(x)  # (N, num_classes)
