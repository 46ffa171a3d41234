"""Inverted residuals with searched kernel, expansion, squeeze-and-excite, depth, activation, width and resolution.

The blocks are those of MobileNetV2 (arXiv:1801.04381) with MnasNet's options (arXiv:1807.11626). Stem and stages take
their strides from the resolution, so the last feature map has 5 to 8 pixels a side from 20x20 up to 224x224 images.
"""

from __future__ import annotations

import math

from edgenas.graph.graph import Builder, Choice, Node
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.images import check_square

STAGES, BLOCKS = 4, 3
KERNELS, EXPANSIONS, ACTIVATIONS = (3, 5, 7), (2, 4), ("relu", "hswish")
WIDTHS = (0.5, 0.75, 1.0)
# What runs at half the side of what came before, by number of halvings. A stem that looks at every pixel of a small
# image is worth half a point on Fashion-MNIST, and one input channel makes it cheap.
STRIDED = {
    2: ("s1", "s2"),
    3: ("stem", "s2", "s4"),
    4: ("stem", "s2", "s3", "s4"),
    5: ("stem", "s1", "s2", "s3", "s4"),
}
# Stem, four stages and head at width 1, by number of halvings of the full-size image.
CHANNELS = {
    2: (16, 16, 24, 40, 64, 96),
    3: (16, 16, 32, 56, 96, 160),
    4: (16, 24, 48, 96, 144, 256),
    5: (24, 24, 48, 96, 192, 384),
}


def halvings(side: int) -> int:
    """Return how often a side is halved, for a last feature map of 5 to 8 pixels; at least twice."""
    return min(5, max(2, math.ceil(math.log2(side / 8))))


def resolutions(side: int) -> tuple[int, ...]:
    """Return the options of `resolution`: about 5/7, 6/7 and all of the image's side, in steps that divide well."""
    step = 4 if side < 64 else 16 if side < 128 else 32
    return tuple(sorted({max(20, round(side * share / 7 / step) * step) for share in (5, 6)} | {side}))


def scaled(channels: int, width: float) -> int:
    """Return channels times the width multiplier in multiples of 8, which vector units run fastest."""
    return max(8, round(channels * width / 8) * 8)


class MBConv(SearchSpace):
    """Four stages of one to three inverted residual blocks between a stem and a pooled head."""

    def __init__(self, shape: Shape, classes: int) -> None:
        """Prepare the space for square images of 28 to 224 pixels."""
        super().__init__(shape, classes)
        side = shape[1]
        check_square("mbconv", shape, 28, 224)
        per_block = (("kernel", KERNELS), ("expand", EXPANSIONS), ("se", (False, True)))
        blocks = [f"s{s}.b{b}" for s in range(1, STAGES + 1) for b in range(1, BLOCKS + 1)]
        self.choices = (
            Choice("width", WIDTHS, static=True),
            Choice("resolution", resolutions(side), static=True),
            *(Choice(f"s{s}.depth", tuple(range(1, BLOCKS + 1))) for s in range(1, STAGES + 1)),
            *(Choice(f"s{s}.act", ACTIVATIONS) for s in range(1, STAGES + 1)),
            *(Choice(f"{block}.{name}", options) for block in blocks for name, options in per_block),
        )

    def emit(self, g: Builder) -> None:
        """Write stem, stages, 1x1 head, mean and classifier."""
        # Strides follow the resolution, channels the full-size image: a resolution changes sides and nothing else.
        strided = STRIDED[halvings(g.input.shape[1])]
        width = float(g.pick("width"))
        stem, *stages, head = (scaled(c, width) for c in CHANNELS[halvings(self.shape[1])])
        x = g.conv("stem", g.input, out=stem, kernel=3, stride=1 + ("stem" in strided), act="relu")
        for s, out in enumerate(stages, start=1):
            ends = {}
            for b in range(1, BLOCKS + 1):
                stride = 1 + (b == 1 and f"s{s}" in strided)
                x = self._block(g, f"s{s}.b{b}", f"s{s}.act", x, out, stride)
                ends[b] = x
            x = g.choose(f"s{s}.depth", ends)
        x = g.conv("head", x, out=head, act="relu")
        g.linear("classifier", g.global_pool("pool", x), out=self.classes)

    def _block(self, g: Builder, block: str, act: str, x: Node, out: int, stride: int) -> Node:
        """Write expansion, depthwise convolution, squeeze-and-excite, projection, and a shortcut where it fits."""
        ends = {}
        for e in EXPANSIONS:
            name, hidden = f"{block}.e{e}", x.shape[0] * e
            h = g.choose(
                act,
                {a: g.conv(f"{name}.expand.{a}", x, out=hidden, act=a, weights=f"{block}.expand") for a in ACTIVATIONS},
                name=f"{name}.expand",
            )
            kernels = {}
            for k in KERNELS:
                alternatives = {
                    a: g.depthwise(f"{name}.k{k}.{a}", h, kernel=k, stride=stride, act=a, weights=f"{block}.depthwise")
                    for a in ACTIVATIONS
                }
                kernels[k] = g.choose(act, alternatives, name=f"{name}.k{k}")
            h = g.choose(f"{block}.kernel", kernels, name=f"{name}.kernel")
            gated = g.squeeze_excite(f"{name}.se", h, hidden=max(8, hidden // 8), weights=f"{block}.se")
            h = g.choose(f"{block}.se", {False: h, True: gated}, name=f"{name}.gate")
            ends[e] = g.conv(f"{name}.project", h, out=out, weights=f"{block}.project")
        y = g.choose(f"{block}.expand", ends)
        return g.add(f"{block}.add", x, y) if x.shape == y.shape else y


def build(shape: Shape, classes: int) -> MBConv:
    """Return the space for images of `shape` (C, H, W) in `classes` classes."""
    return MBConv(shape, classes)
