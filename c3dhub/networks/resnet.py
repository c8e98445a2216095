"""3D ResNets: basic, bottleneck, wide, ResNeXt and pre-activation blocks.

A bottleneck squeezes to ``c_out / 4`` channels (ResNet), to twice that (wide ResNet), or to twice
that in 32 groups (ResNeXt); nothing else tells the three apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from ..base.checks import check_choice
from ..registry.config import ModelConfig
from .blocks import Blocks
from .layers import BatchNorm3d, Conv3d, Size
from .video_network import VideoNetwork

BlockMaker = Callable[[int, int, int], nn.Module]  # (c_in, c_out, stride)


class ShortcutA(nn.Module):
    """Every ``stride``-th value of the input, then zero channels: no parameters."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = c_out - c_in, stride

    def forward(self, x: Tensor) -> Tensor:
        s = self.stride
        x = x[:, :, ::s, ::s, ::s]  # (N, c_in, T/s, H/s, W/s)
        return F.pad(x, (0, 0, 0, 0, 0, 0, 0, self.extra))  # (N, c_out, T/s, H/s, W/s)


def shortcut_b(c_in: int, c_out: int, stride: Size) -> nn.Sequential:
    """Return a 1x1x1 convolution and its BatchNorm."""
    return nn.Sequential(Conv3d(c_in, c_out, 1, stride=stride), BatchNorm3d(c_out))


def make_shortcut(kind: str, c_in: int, c_out: int, stride: int) -> nn.Module:
    """Return what brings a block's input to the shape of its output."""
    if kind not in ("A", "B"):
        raise ValueError(f"shortcut is {kind!r}; it must be 'A' (zero channels) or 'B' (1x1x1)")
    if stride == 1 and c_in == c_out:
        return nn.Identity()
    return ShortcutA(c_in, c_out, stride) if kind == "A" else shortcut_b(c_in, c_out, stride)


class BasicBlock(nn.Module):
    """Two 3x3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, c_in: int, c_out: int, stride: int, *, shortcut: str = "B") -> None:
        super().__init__()
        self.conv1 = Conv3d(c_in, c_out, 3, stride=stride)
        self.bn1 = BatchNorm3d(c_out)
        self.conv2 = Conv3d(c_out, c_out, 3)
        self.bn2 = BatchNorm3d(c_out)
        self.downsample = make_shortcut(shortcut, c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))  # (N, c_out, T/s, H/s, W/s)
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1x1, 3x3x3 and 1x1x1 convolutions beside a shortcut; also wide and in groups."""

    expansion = 4

    def __init__(
        self,
        c_in: int,
        c_out: int,
        stride: int,
        *,
        shortcut: str = "B",
        cardinality: int = 1,
        group_width: int = 64,
    ) -> None:
        super().__init__()
        mid = middle_channels(c_out, cardinality, group_width)
        self.conv1 = Conv3d(c_in, mid, 1)
        self.bn1 = BatchNorm3d(mid)
        self.conv2 = Conv3d(mid, mid, 3, stride=stride, groups=cardinality)
        self.bn2 = BatchNorm3d(mid)
        self.conv3 = Conv3d(mid, c_out, 1)
        self.bn3 = BatchNorm3d(c_out)
        self.downsample = make_shortcut(shortcut, c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))  # (N, mid, T, H, W)
        y = F.relu(self.bn2(self.conv2(y)))  # (N, mid, T/s, H/s, W/s)
        y = self.bn3(self.conv3(y))  # (N, c_out, T/s, H/s, W/s)
        return F.relu(y + self.downsample(x))


class PreActBasicBlock(nn.Module):
    """The basic block with BatchNorm and ReLU before each convolution, none after the sum."""

    expansion = 1

    def __init__(self, c_in: int, c_out: int, stride: int, *, shortcut: str = "B") -> None:
        super().__init__()
        self.bn1 = BatchNorm3d(c_in)
        self.conv1 = Conv3d(c_in, c_out, 3, stride=stride)
        self.bn2 = BatchNorm3d(c_out)
        self.conv2 = Conv3d(c_out, c_out, 3)
        self.downsample = make_shortcut(shortcut, c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x)))  # (N, c_out, T/s, H/s, W/s)
        y = self.conv2(F.relu(self.bn2(y)))
        total: Tensor = y + self.downsample(x)
        return total


class PreActBottleneck(nn.Module):
    """The bottleneck with BatchNorm and ReLU before each convolution, none after the sum."""

    expansion = 4

    def __init__(self, c_in: int, c_out: int, stride: int, *, shortcut: str = "B") -> None:
        super().__init__()
        mid = c_out // self.expansion
        self.bn1 = BatchNorm3d(c_in)
        self.conv1 = Conv3d(c_in, mid, 1)
        self.bn2 = BatchNorm3d(mid)
        self.conv2 = Conv3d(mid, mid, 3, stride=stride)
        self.bn3 = BatchNorm3d(mid)
        self.conv3 = Conv3d(mid, c_out, 1)
        self.downsample = make_shortcut(shortcut, c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x)))  # (N, mid, T, H, W)
        y = self.conv2(F.relu(self.bn2(y)))  # (N, mid, T/s, H/s, W/s)
        y = self.conv3(F.relu(self.bn3(y)))  # (N, c_out, T/s, H/s, W/s)
        total: Tensor = y + self.downsample(x)
        return total


BLOCKS: Mapping[str, type[BasicBlock | Bottleneck | PreActBasicBlock | PreActBottleneck]] = {
    "basic": BasicBlock,
    "bottleneck": Bottleneck,
    "preact_basic": PreActBasicBlock,
    "preact_bottleneck": PreActBottleneck,
}


class FourLayers(VideoNetwork):
    """A residual network behind its stem: four layers of blocks, the mean and a linear head."""

    stage_names = ("stem", "layer1", "layer2", "layer3", "layer4", "avgpool", "logits")

    def add_layers(
        self, makers: Sequence[BlockMaker], layers: Sequence[int], *, width: int, out: int
    ) -> None:
        """Add layer1 to layer4, with ``layers`` blocks by ``makers`` each, and the head.

        ``width`` and ``out`` are the channels that go into layer1 and come out of it.
        """
        self.layer1 = make_layer(makers[0], width, out, layers[0], stride=1)
        self.layer2 = make_layer(makers[1], out, out * 2, layers[1], stride=2)
        self.layer3 = make_layer(makers[2], out * 2, out * 4, layers[2], stride=2)
        self.layer4 = make_layer(makers[3], out * 4, out * 8, layers[3], stride=2)
        self.num_features = out * 8
        self.fc = nn.Linear(self.num_features, self.config.num_classes)

    def run_stem(self, x: Tensor) -> Tensor:
        """Return the map that goes into layer1."""
        raise NotImplementedError

    def run(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:  # channels: bottlenecks, width 64
        x = self.run_stem(x)  # (N, 64, T/2, H/4, W/4)
        yield "stem", x
        x = self.layer1(x)  # (N, 256, T/2, H/4, W/4)
        yield "layer1", x
        x = self.layer2(x)  # (N, 512, T/4, H/8, W/8)
        yield "layer2", x
        x = self.layer3(x)  # (N, 1024, T/8, H/16, W/16)
        yield "layer3", x
        x = self.layer4(x)  # (N, 2048, T/16, H/32, W/32)
        yield "layer4", x
        x = x.mean((2, 3, 4))  # (N, 2048)
        yield "avgpool", x
        yield "logits", self.fc(x)  # (N, num_classes)


class ResNet(FourLayers):
    """ResNet, wide ResNet, ResNeXt and pre-activation ResNet in three dimensions.

    Parameters
    ----------
    block: a key of ``BLOCKS``.
    layers: blocks of layer1 to layer4.
    shortcut: ``"A"`` (strided input, zero channels) or ``"B"`` (1x1x1 convolution).
    width: channels of the stem; layer1 to layer4 have 1, 2, 4, 8 times as many, bottlenecks 4
        times that.
    cardinality, group_width: groups of a bottleneck's 3x3x3 convolution and the channels of each
        in layer1 at width 64. 1 and 64 is ResNet, 1 and 128 wide ResNet, 32 and 4 ResNeXt.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        block: str,
        layers: Sequence[int],
        shortcut: str = "B",
        width: int = 64,
        cardinality: int = 1,
        group_width: int = 64,
    ) -> None:
        super().__init__(config)
        check_layers(layers, width)
        check_choice("block", block, tuple(BLOCKS))
        kind = BLOCKS[block]
        make: BlockMaker = partial(kind, shortcut=shortcut)
        if issubclass(kind, Bottleneck):
            make = partial(
                kind, shortcut=shortcut, cardinality=cardinality, group_width=group_width
            )
        self.conv1 = Conv3d(config.in_channels, width, 7, stride=(1, 2, 2))
        self.bn1 = BatchNorm3d(width)
        self.add_layers([make] * 4, layers, width=width, out=width * kind.expansion)

    def run_stem(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))  # (N, 64, T, H/2, W/2)
        return F.max_pool3d(x, 3, stride=2, padding=1)  # (N, 64, T/2, H/4, W/4)


def make_layer(make: BlockMaker, c_in: int, c_out: int, depth: int, *, stride: int) -> Blocks:
    """Return ``depth`` blocks, of which the first one changes the channels and the size."""
    first = make(c_in, c_out, stride)
    return Blocks(first, *(make(c_out, c_out, 1) for _ in range(depth - 1)))


def middle_channels(c_out: int, cardinality: int, group_width: int) -> int:
    """Return a bottleneck's inner channels. Raises ValueError where the groups do not fit."""
    mid = c_out // 4 * group_width * cardinality // 64
    if cardinality < 1 or mid < 1 or mid % cardinality:
        raise ValueError(
            f"cardinality is {cardinality} and group_width {group_width}: {mid} channels cannot be "
            "split into such groups; take a larger width or a smaller cardinality"
        )
    return mid


def check_layers(layers: Sequence[int], width: int) -> None:
    """Raise ValueError unless there are four layers of at least one block and one channel."""
    if len(layers) != 4 or min(layers) < 1:
        raise ValueError(f"layers is {tuple(layers)}; it must be four numbers of blocks above 0")
    if width < 1:
        raise ValueError(f"width is {width}; it must be at least 1 channel")
