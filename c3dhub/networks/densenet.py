"""3D DenseNets: each layer sees the outputs of all layers before it in its block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry.config import ModelConfig
from .blocks import Blocks
from .layers import BatchNorm3d, Conv3d
from .resnet import check_layers
from .video_network import VideoNetwork


class DenseLayer(nn.Module):
    """Adds ``growth`` channels to its input."""

    def __init__(self, c_in: int, growth: int) -> None:
        super().__init__()
        self.norm1 = BatchNorm3d(c_in)
        self.conv1 = Conv3d(c_in, 4 * growth, 1)
        self.norm2 = BatchNorm3d(4 * growth)
        self.conv2 = Conv3d(4 * growth, growth, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))  # (N, 4 * growth, T, H, W)
        y = self.conv2(F.relu(self.norm2(y)))  # (N, growth, T, H, W)
        return torch.cat([x, y], dim=1)  # (N, c_in + growth, T, H, W)


class Transition(nn.Module):
    """Halves the channels and the size between two blocks."""

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.norm = BatchNorm3d(c_in)
        self.conv = Conv3d(c_in, c_in // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.relu(self.norm(x)))  # (N, c_in / 2, T, H, W)
        # A clip of 8 frames has a single one left before the last transition: it stays.
        kernel = [2 if size >= 2 else 1 for size in x.shape[2:]]
        # On the CPU torch has no kernel of this pool for 16 bits.
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return F.avg_pool3d(wide, kernel).to(x.dtype)  # (N, c_in / 2, T/2, H/2, W/2)


class DenseNet(VideoNetwork):
    """DenseNet-BC with bottlenecks of 4 * growth channels and transitions that halve.

    Parameters
    ----------
    layers: dense layers of denseblock1 to denseblock4.
    growth: channels that each layer adds.
    width: channels of the stem.
    """

    stage_names = (
        "stem",
        "denseblock1",
        "denseblock2",
        "denseblock3",
        "denseblock4",
        "avgpool",
        "logits",
    )
    head_name = "classifier"

    def __init__(
        self, config: ModelConfig, *, layers: Sequence[int], growth: int = 32, width: int = 64
    ) -> None:
        super().__init__(config)
        check_layers(layers, width)
        if growth < 1:
            raise ValueError(f"growth is {growth}; it must be at least 1 channel")
        self.features = nn.ModuleDict()
        self.features["conv0"] = Conv3d(config.in_channels, width, 7, stride=(1, 2, 2))
        self.features["norm0"] = BatchNorm3d(width)
        channels = width
        for number, depth in enumerate(layers, start=1):
            self.features[f"denseblock{number}"] = make_block(channels, growth, depth)
            channels += depth * growth
            if number < len(layers):
                self.features[f"transition{number}"] = Transition(channels)
                channels //= 2
        self.features["norm5"] = BatchNorm3d(channels)
        self.num_features = channels
        self.classifier = nn.Linear(self.num_features, config.num_classes)

    def run(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:  # channels: DenseNet-121
        f = self.features
        x = F.relu(f["norm0"](f["conv0"](x)))  # (N, 64, T, H/2, W/2)
        x = F.max_pool3d(x, 3, stride=2, padding=1)  # (N, 64, T/2, H/4, W/4)
        yield "stem", x
        x = f["denseblock1"](x)  # (N, 256, T/2, H/4, W/4)
        yield "denseblock1", x
        x = f["denseblock2"](f["transition1"](x))  # (N, 512, T/4, H/8, W/8)
        yield "denseblock2", x
        x = f["denseblock3"](f["transition2"](x))  # (N, 1024, T/8, H/16, W/16)
        yield "denseblock3", x
        x = f["denseblock4"](f["transition3"](x))  # (N, 1024, T/16, H/32, W/32)
        yield "denseblock4", x
        x = F.relu(f["norm5"](x))  # (N, 1024, T/16, H/32, W/32)
        x = x.mean((2, 3, 4))  # (N, 1024)
        yield "avgpool", x
        yield "logits", self.classifier(x)  # (N, num_classes)


def make_block(c_in: int, growth: int, depth: int) -> Blocks:
    """Return ``depth`` dense layers named denselayer1, denselayer2, ..."""
    block = Blocks()
    for i in range(depth):
        block.add_module(f"denselayer{i + 1}", DenseLayer(c_in + i * growth, growth))
    return block
