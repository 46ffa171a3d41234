"""NAS-Bench-201: one cell of four nodes and five ops, fifteen times; all 15,625 architectures (arXiv:2001.00326).

An architecture is one op per edge, in the order 0->1, 0->2, 1->2, 0->3, 1->3, 2->3 of the official strings. Two places
differ from the paper's networks, in nothing that their MACs count: the shortcuts of the residual blocks pool
over 3x3, not 2x2, and the last batch norm is left out, which no convolution in front of it could fold.
"""

from __future__ import annotations

import re

from edgenas.errors import UsageError
from edgenas.graph.graph import Arch, Builder, Choice, Node
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.images import check_square

# Architectures hold positions in this order, and so do files of known accuracies.
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_TERM = re.compile(r"(\w+)~(\d)")


class NASBench201(SearchSpace):
    """Stem, three stages of five equal cells with a residual block between stages, pooled head."""

    choices = tuple(Choice(f"e{i}{j}", OPS) for i, j in EDGES)
    skip_options = frozenset({"skip_connect"})
    channels, cells = (16, 32, 64), 5  # of the stages, and cells in each

    def __init__(self, shape: Shape, classes: int) -> None:
        """Prepare the space for square images of 16 to 64 pixels."""
        super().__init__(shape, classes)
        check_square("nasbench201", shape, 16, 64)

    def emit(self, g: Builder) -> None:
        """Write the network of the paper's figure 1."""
        x = g.conv("stem", g.input, out=self.channels[0], kernel=3)
        for s, channels in enumerate(self.channels, start=1):
            if s > 1:
                x = self._reduction(g, f"r{s}", x, channels)
            for c in range(1, self.cells + 1):
                x = self._cell(g, f"s{s}.c{c}", x)
        x = g.act("last.relu", x, "relu")
        g.linear("classifier", g.global_pool("pool", x), out=self.classes)

    def _cell(self, g: Builder, cell: str, x: Node) -> Node:
        """Write a cell: each node is the sum over its edges; convolutions read a node through a ReLU."""
        nodes, activated = [x], [g.act(f"{cell}.n0.relu", x, "relu")]
        for j in (1, 2, 3):
            total: Node | None = None
            for i in range(j):
                edge = self._edge(g, cell, f"e{i}{j}", nodes[i], activated[i])
                total = edge if total is None else g.add(f"{cell}.n{j}.add{i}", total, edge)
            assert total is not None
            nodes.append(total)
            # Nothing in the cell reads its last node.
            if j < 3:
                activated.append(g.act(f"{cell}.n{j}.relu", total, "relu"))
        return nodes[-1]

    def _edge(self, g: Builder, cell: str, choice: str, x: Node, activated: Node) -> Node:
        """Write one of the five ops; both convolutions share their weights."""
        name, out = f"{cell}.{choice}", x.shape[0]
        alternatives = {
            "none": g.zero(f"{name}.none", x),
            "skip_connect": x,
            "nor_conv_1x1": g.conv(f"{name}.k1", activated, out=out, weights=f"{name}.conv"),
            "nor_conv_3x3": g.conv(f"{name}.k3", activated, out=out, kernel=3, weights=f"{name}.conv"),
            "avg_pool_3x3": g.pool(f"{name}.avg", x, "avg"),
        }
        return g.choose(choice, alternatives, name=name)

    def _reduction(self, g: Builder, block: str, x: Node, out: int) -> Node:
        """Write the residual block between stages, with half the side and twice the channels."""
        h = g.conv(f"{block}.a", g.act(f"{block}.relu", x, "relu"), out=out, kernel=3, stride=2, act="relu")
        h = g.conv(f"{block}.b", h, out=out, kernel=3)
        shortcut = g.conv(f"{block}.shortcut", g.pool(f"{block}.pool", x, "avg", stride=2), out=out)
        return g.add(f"{block}.add", shortcut, h)

    def published(self, arch: Arch) -> str:
        """Return the official string, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        terms = {edge: f"{OPS[option]}~{edge[0]}" for edge, option in zip(EDGES, arch, strict=True)}
        return "+".join("|" + "|".join(terms[i, j] for i in range(j)) + "|" for j in (1, 2, 3))

    def read_published(self, text: str) -> Arch | None:
        """Return the architecture of an official string."""
        text = text.strip()
        if not text.startswith("|"):
            return None
        ops = {}
        for j, node in enumerate(text.split("+"), start=1):
            for term in node.strip("|").split("|"):
                match = _TERM.fullmatch(term)
                if match is None or match[1] not in OPS:
                    raise UsageError(f"space nasbench201: {term!r} is not <op>~<node> with one of {', '.join(OPS)}")
                ops[int(match[2]), j] = OPS.index(match[1])
        if tuple(sorted(ops, key=lambda edge: (edge[1], edge[0]))) != EDGES:
            raise UsageError(f"space nasbench201: {text!r} does not name the six edges 0->1 to 2->3")
        return tuple(ops[edge] for edge in EDGES)


def build(shape: Shape, classes: int) -> NASBench201:
    """Return the space for images of `shape` (C, H, W) in `classes` classes."""
    return NASBench201(shape, classes)
