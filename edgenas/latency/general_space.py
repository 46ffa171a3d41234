"""Networks of all usual blocks, to correct predicted latencies of networks that edgenas did not build; not to search.

Plain, residual, bottleneck and grouped stages (arXiv:1512.03385, 1611.05431), inverted residuals with and without
squeeze-and-excite (arXiv:1801.04381, 1905.02244), fire modules (arXiv:1602.07360), each stage of a kind of its own.
Every choice is static: the program has no alternatives, so any mix is one straight line.
"""

from __future__ import annotations

from collections.abc import Callable

from edgenas.graph.graph import Builder, Choice, Node
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace

# The space's name in every table that was measured with it: where the file was then. Tables outlive files.
NAME = "edgenas.spaces._general"
STAGES = 4
# Those that published networks are trained for, down to what a small board can afford.
RESOLUTIONS = (96, 128, 160, 192, 224)
WIDTHS = (0.5, 0.75, 1.0, 1.25)
# Channels of the four stages at width 1, as the papers have them.
CHANNELS = {
    "plain": (32, 64, 128, 256),
    "residual": (64, 128, 256, 512),
    "bottleneck": (128, 256, 512, 1024),
    "grouped": (48, 104, 208, 440),
    "inverted": (24, 40, 96, 192),
    "gated": (24, 48, 112, 160),
    "fire": (128, 256, 384, 512),
}
# The most blocks of a stage: more repeat ops that are there already.
DEPTH = 3
HEADS = (0, 512, 1280)


class General(SearchSpace):
    """Stem, perhaps a pool, four stages, perhaps a 1x1 head, mean, classifier."""

    def __init__(self, shape: Shape, classes: int) -> None:
        """Make the space for images with the channels of `shape`; their sides are a choice."""
        super().__init__(shape, classes)
        stages = range(1, STAGES + 1)
        self.choices = (
            Choice("resolution", RESOLUTIONS, static=True),
            Choice("width", WIDTHS, static=True),
            Choice("act", ("relu", "relu6", "hswish"), static=True),
            Choice("stem", (3, 7), static=True),
            Choice("pool", (False, True), static=True),
            *(Choice(f"s{s}.block", tuple(CHANNELS), static=True) for s in stages),
            *(Choice(f"s{s}.depth", tuple(range(1, DEPTH + 1)), static=True) for s in stages),
            *(Choice(f"s{s}.kernel", (3, 5), static=True) for s in stages),
            Choice("head", HEADS, static=True),
        )

    def emit(self, g: Builder) -> None:
        """Write the network: one straight line."""
        width, act = float(g.pick("width")), str(g.pick("act"))
        x = g.conv("stem", g.input, out=_scaled(32, width), kernel=int(g.pick("stem")), stride=2, act=act)
        if g.pick("pool"):
            x = g.pool("pool", x, "max", stride=2)
        for s in range(1, STAGES + 1):
            kind, kernel = str(g.pick(f"s{s}.block")), int(g.pick(f"s{s}.kernel"))
            out = _scaled(CHANNELS[kind][s - 1], width)
            for b in range(1, int(g.pick(f"s{s}.depth")) + 1):
                # Five halvings in all: a pool behind the stem takes the place of the first stage's stride.
                stride = 2 if b == 1 and (s > 1 or not g.pick("pool")) else 1
                x = _BLOCKS[kind](_Part(g, f"s{s}.b{b}", act, kernel), x, out, stride)
        if head := int(g.pick("head")):
            x = g.conv("head", x, out=head, act=act)
        g.linear("classifier", g.global_pool("mean", x), out=self.classes)


class _Part:
    """The builder, under the names of one block."""

    def __init__(self, g: Builder, name: str, act: str, kernel: int) -> None:
        self.g, self.name, self.act, self.kernel = g, name, act, kernel

    def conv(self, name: str, x: Node, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> Node:
        """Add a convolution with the network's activation."""
        return self.g.conv(f"{self.name}.{name}", x, out=out, kernel=kernel, stride=stride, groups=groups, act=self.act)

    def bare(self, name: str, x: Node, out: int, kernel: int = 1, stride: int = 1) -> Node:
        """Add a convolution without an activation."""
        return self.g.conv(f"{self.name}.{name}", x, out=out, kernel=kernel, stride=stride)

    def joined(self, x: Node, y: Node, stride: int) -> Node:
        """Add y to x, projected where it does not fit, then the activation."""
        x = x if x.shape == y.shape else self.bare("shortcut", x, y.shape[0], 1, stride)
        return self.g.act(f"{self.name}.act", self.g.add(f"{self.name}.add", x, y), self.act)


def _plain(part: _Part, x: Node, out: int, stride: int) -> Node:
    return part.conv("conv", x, out, part.kernel, stride)


def _residual(part: _Part, x: Node, out: int, stride: int) -> Node:
    y = part.bare("second", part.conv("first", x, out, 3, stride), out, 3)
    return part.joined(x, y, stride)


def _bottleneck(part: _Part, x: Node, out: int, stride: int) -> Node:
    y = part.conv("conv", part.conv("reduce", x, out // 4), out // 4, 3, stride)
    return part.joined(x, part.bare("expand", y, out), stride)


def _grouped(part: _Part, x: Node, out: int, stride: int) -> Node:
    """Add a block with groups of 8 channels, as the small RegNets have (arXiv:2003.13678)."""
    y = part.conv("conv", part.conv("first", x, out), out, 3, stride, groups=out // 8)
    return part.joined(x, part.bare("last", y, out), stride)


def _inverted(part: _Part, x: Node, out: int, stride: int, gated: bool = False) -> Node:
    hidden = 4 * x.shape[0] if x.shape[0] <= 128 else x.shape[0]
    y = part.conv("depthwise", part.conv("expand", x, hidden), hidden, part.kernel, stride, groups=hidden)
    if gated:
        y = part.g.squeeze_excite(f"{part.name}.se", y, hidden=_scaled(hidden, 0.25))
    y = part.bare("project", y, out)
    return part.g.add(f"{part.name}.add", x, y) if x.shape == y.shape else y


def _gated(part: _Part, x: Node, out: int, stride: int) -> Node:
    return _inverted(part, x, out, stride, gated=True)


def _fire(part: _Part, x: Node, out: int, stride: int) -> Node:
    if stride > 1:
        x = part.g.pool(f"{part.name}.pool", x, "max", stride=stride)
    x = part.conv("squeeze", x, _scaled(out, 0.125))
    wide, narrow = part.conv("wide", x, out // 2, 3), part.conv("narrow", x, out // 2)
    return part.g.concat(f"{part.name}.concat", wide, narrow)


_BLOCKS: dict[str, Callable[[_Part, Node, int, int], Node]] = {
    "plain": _plain,
    "residual": _residual,
    "bottleneck": _bottleneck,
    "grouped": _grouped,
    "inverted": _inverted,
    "gated": _gated,
    "fire": _fire,
}


def _scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width / 8) * 8)


def build(shape: Shape, classes: int) -> General:
    """Return the space for images of this shape, of which only the channels count."""
    return General(shape, classes)
