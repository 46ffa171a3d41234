"""A chain of layers: each has an op, and may add or concatenate what any earlier layer gave.

An architecture is published as one pair `(op_id, conn_id)` per layer, ids being positions in `OPS` and `CONNECTIONS`;
the source is then the layer before the previous one. A layer with another source is a triple, its number the last.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from edgenas.errors import UsageError
from edgenas.graph.graph import Arch, Builder, Choice, Node
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.images import check_square

LAYERS = 12  # three and four stages divide it evenly
OPS = ("conv3", "conv5", "max3", "avg3")
CONNECTIONS = ("direct", "add", "concat")
WIDTH = 16  # channels of the stem and the first stage
# What layers may read, by the number that the published form has for it: layer i reads SOURCES[i], its predecessor,
# and one of those before.
SOURCES = ("image", "stem", *(f"l{i}" for i in range(1, LAYERS)))

# Numbers as Python writes them, so that `literal_eval` reads whatever this matches.
_ID = r" *(?:0|[1-9]\d{0,3}) *"
_LAYER = rf" *\({_ID},{_ID}(?:,{_ID})?\) *"
_PUBLISHED = re.compile(rf"\[{_LAYER}(?:,{_LAYER})*\]", re.ASCII)


def stem_and_stages(side: int) -> tuple[int, int]:
    """Return the stride of the stem and the number of stages, for a last feature map of 5 to 8 pixels a side."""
    return (1 if side <= 32 else 2), (3 if side <= 64 else 4)


class Chain(SearchSpace):
    """Twelve layers in three or four stages between a stem and a pooled head.

    A layer's op is applied to the previous layer (`direct`), to its sum with the source (`add`), or to their
    concatenation, projected back to the stage's width (`concat`). Each stage has half the side and twice the width of
    the one before. What its layers read from before the stage comes through a strided 1x1 projection, one for each
    source, shared by all its readers.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        """Prepare the space for square images of 28 to 96 pixels."""
        super().__init__(shape, classes)
        check_square("chain", shape, 28, 96)
        self.choices = tuple(
            choice
            for i in range(1, LAYERS + 1)
            for choice in (
                Choice(f"l{i}.op", OPS),
                Choice(f"l{i}.conn", CONNECTIONS),
                Choice(f"l{i}.source", SOURCES[:i]),
            )
        )

    def emit(self, g: Builder) -> None:
        """Write stem, stages, 1x1 head, mean and classifier."""
        stride, stages = stem_and_stages(g.input.shape[1])
        stem = g.conv("stem", g.input, out=WIDTH, kernel=3, stride=stride, act="relu")
        # Strides say how many pixels of the image a value has to one of its own, along a side.
        values, strides = {"image": g.input, "stem": stem}, {"image": 1, "stem": stride}
        for s in range(stages):
            width = WIDTH << s
            readable = {
                name: _projected(g, f"s{s + 1}.{name}", x, width, (stride << s) // strides[name])
                for name, x in values.items()
            }
            for i in range(s * LAYERS // stages + 1, (s + 1) * LAYERS // stages + 1):
                layer = self._layer(g, i, readable)
                values[f"l{i}"] = readable[f"l{i}"] = layer
                strides[f"l{i}"] = stride << s
        x = g.conv("head", layer, out=2 * layer.shape[0], act="relu")
        g.linear("classifier", g.global_pool("pool", x), out=self.classes)

    def _layer(self, g: Builder, i: int, readable: Mapping[str, Node]) -> Node:
        """Write the combination, then the op; kernels of a layer share their weights."""
        previous = readable[SOURCES[i]]
        width = previous.shape[0]
        source = g.choose(f"l{i}.source", {name: readable[name] for name in SOURCES[:i]})
        joined = g.concat(f"l{i}.concat", previous, source)
        x = g.choose(
            f"l{i}.conn",
            {
                "direct": previous,
                "add": g.add(f"l{i}.add", previous, source),
                "concat": g.conv(f"l{i}.merge", joined, out=width),
            },
        )
        return g.choose(
            f"l{i}.op",
            {
                **{
                    f"conv{k}": g.conv(f"l{i}.k{k}", x, out=width, kernel=k, act="relu", weights=f"l{i}")
                    for k in (3, 5)
                },
                **{f"{mode}3": g.pool(f"l{i}.{mode}", x, mode) for mode in ("max", "avg")},
            },
        )

    def published(self, arch: Arch) -> str:
        """Return for example `[(0, 0), (1, 2), (0, 1, 0), ...]`."""
        layers = [arch[3 * i : 3 * i + 3] for i in range(LAYERS)]
        return str([layer[:2] if layer[2] == before else layer for before, layer in enumerate(layers)])

    def read_published(self, text: str) -> Arch | None:
        """Return the architecture that `published` wrote; raises UsageError for another number of layers."""
        text = text.strip()
        if not _PUBLISHED.fullmatch(text):
            return None
        layers = ast.literal_eval(text)
        if len(layers) != LAYERS:
            raise UsageError(f"space chain: an architecture has {LAYERS} layers, got {len(layers)}")
        return tuple(gene for before, layer in enumerate(layers) for gene in (*layer, before)[:3])


def _projected(g: Builder, name: str, x: Node, width: int, stride: int) -> Node:
    """Return `x` in a stage's shape: itself if it has that shape, else a projection."""
    return x if (x.shape[0], stride) == (width, 1) else g.conv(name, x, out=width, stride=stride)


def build(shape: Shape, classes: int) -> Chain:
    """Return the space for images of `shape` (C, H, W) in `classes` classes."""
    return Chain(shape, classes)
