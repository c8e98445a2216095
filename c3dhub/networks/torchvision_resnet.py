"""torchvision's three video ResNets of 18 layers: R3D, MC3 and R(2+1)D.

They differ from the others of this hub in the stem (3 frames deep, no max pool) and in the form
of their keys (``layer1.0.conv1.0.weight``), and among themselves in the convolution of each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from ..base.errors import near_matches
from ..registry.config import ModelConfig
from .layers import BatchNorm3d, Conv3d
from .r2plus1d import factor_channels
from .resnet import FourLayers, check_layers, shortcut_b

CONVS = ("3d", "2d", "2plus1d")  # 3x3x3; 1x3x3, which keeps all frames; 1x3x3 then 3x1x1


def make_conv(kind: str, c_in: int, mid: int, c_out: int, stride: int) -> nn.Module:
    """Return one convolution of a block; ``mid`` channels lie between the halves of a factored."""
    if kind == "3d":
        return Conv3d(c_in, c_out, 3, stride=stride)
    if kind == "2d":
        return Conv3d(c_in, c_out, (1, 3, 3), stride=(1, stride, stride))
    return nn.Sequential(
        Conv3d(c_in, mid, (1, 3, 3), stride=(1, stride, stride)),
        BatchNorm3d(mid),
        nn.ReLU(),
        Conv3d(mid, c_out, (3, 1, 1), stride=(stride, 1, 1)),
    )


class BasicBlock(nn.Module):
    """Two convolutions of one kind beside a shortcut."""

    def __init__(self, kind: str, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        mid = factor_channels(c_in, c_out)  # once per block: the second convolution has it too
        self.conv1 = nn.Sequential(
            make_conv(kind, c_in, mid, c_out, stride),
            BatchNorm3d(c_out),
            nn.ReLU(),
        )
        self.conv2 = nn.Sequential(make_conv(kind, c_out, mid, c_out, 1), BatchNorm3d(c_out))
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            t = 1 if kind == "2d" else stride
            self.downsample = shortcut_b(c_in, c_out, (t, stride, stride))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))  # (N, c_out, T/s, H/s, W/s), "2d": (N, c_out, T, H/s, W/s)
        return F.relu(y + self.downsample(x))


def make_stem(c_in: int, width: int, *, factored: bool) -> nn.Module:
    """Return the first layers, 3x7x7 or 1x7x7 and then 3x1x1; all frames are kept."""
    if not factored:
        conv = Conv3d(c_in, width, (3, 7, 7), stride=(1, 2, 2))
        return nn.Sequential(conv, BatchNorm3d(width), nn.ReLU())
    mid = max(1, 45 * width // 64)  # torchvision's number, which no formula gives
    return nn.Sequential(
        Conv3d(c_in, mid, (1, 7, 7), stride=(1, 2, 2)),
        BatchNorm3d(mid),
        nn.ReLU(),
        Conv3d(mid, width, (3, 1, 1)),
        BatchNorm3d(width),
        nn.ReLU(),
    )


class TorchvisionResNet(FourLayers):
    """R3D-18, MC3-18 and R(2+1)D-18 as torchvision has them.

    Stem and layer1 keep all frames, maps are H/2 and W/2 there; ``"2d"`` layers keep T as it is.

    Parameters
    ----------
    convs: the convolution of layer1 to layer4, each one of ``CONVS``. The stem is factored where
        layer1 is ``"2plus1d"``.
    layers: blocks of layer1 to layer4.
    width: channels of the stem and layer1; layer2 to layer4 have 2, 4, 8 times as many.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        convs: Sequence[str],
        layers: Sequence[int] = (2, 2, 2, 2),
        width: int = 64,
    ) -> None:
        super().__init__(config)
        check_layers(layers, width)
        check_convs(convs)
        self.stem = make_stem(config.in_channels, width, factored=convs[0] == "2plus1d")
        makers = [partial(BasicBlock, kind) for kind in convs]
        self.add_layers(makers, layers, width=width, out=width)

    def run_stem(self, x: Tensor) -> Tensor:
        first: Tensor = self.stem(x)  # (N, 64, T, H/2, W/2)
        return first


def check_convs(convs: Sequence[str]) -> None:
    """Raise ValueError unless there are four known kinds of convolution."""
    unknown = [kind for kind in convs if kind not in CONVS]
    if len(convs) != 4 or unknown:
        hint = near_matches(unknown[0], CONVS) if unknown else ""
        raise ValueError(f"convs is {tuple(convs)}; it must be four of {', '.join(CONVS)}.{hint}")
