"""DARTS: a normal and a reduction cell, stacked (Liu et al., 2019, arXiv:1806.09055).

An architecture is published as a genotype: for each node of a cell two pairs of op and input, the inputs being numbered
from the two previous cells, and the nodes that the cell's output concatenates, here always all four.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator

from edgenas.errors import UsageError
from edgenas.graph.graph import Arch, Builder, Choice, Node, Option
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.images import check_square

OPS = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
CELLS = ("normal", "reduce")
NODES = range(2, 6)  # of a cell, behind its two inputs
# The paper searches with 16 channels in 8 cells, and trains 36 in 20 on CIFAR-10 and 14 cells on ImageNet.
WIDTHS = (8, 16, 24, 36)
DEPTHS = (8, 14, 20)  # two reduction cells, and three stages with equally many others
STEM_MULTIPLIER = 3  # as in the authors' code
LARGEST_UNSTRIDED = 64  # pixels a side: up to here the stem keeps the side, as for CIFAR-10; above it is ImageNet's

# As the authors' code writes it, with or without `Genotype(...)` around it.
_GENOTYPE = re.compile(
    r"\s*(?:Genotype\s*\()?\s*normal\s*=\s*(\[.*?\])\s*,\s*normal_concat\s*=\s*(.+?)\s*,"
    r"\s*reduce\s*=\s*(\[.*?\])\s*,\s*reduce_concat\s*=\s*(.+?)\s*\)?\s*",
    re.DOTALL,
)
_CONCAT = re.compile(r"range\s*\(\s*2\s*,\s*6\s*\)|[\[(]\s*2\s*,\s*3\s*,\s*4\s*,\s*5\s*,?\s*[\])]")


def pairs(node: int) -> list[tuple[int, int]]:
    """Return the pairs of inputs that a node may have."""
    return list(itertools.combinations(range(node), 2))


def _cell_choices(cell: str) -> Iterator[Choice]:
    for node in NODES:
        # The first node has two values before it, and thus nothing to choose.
        if len(pairs(node)) > 1:
            yield Choice(f"{cell}.inputs{node}", tuple(f"{i}{j}" for i, j in pairs(node)))
        for i in range(node):
            yield Choice(f"{cell}.op{i}{node}", OPS)


class DARTS(SearchSpace):
    """Stem; cells in three stages, with a reduction cell before the second and the third; mean; classifier.

    A node of a cell is the sum of two ops, each on one of the values before it; all cells of a kind have the same
    architecture. Cells are named by their stage, so that networks of several depths share their first cells.

    Deviations from the paper: kernels of the separable convolutions have batch norm each, where the paper has one for
    every pair; folded, that is the bias of a convolution. Pooling has none in the paper's final networks either.
    """

    choices = (
        Choice("width", WIDTHS, static=True),
        Choice("cells", DEPTHS, static=True),
        *(choice for cell in CELLS for choice in _cell_choices(cell)),
    )
    skip_options = frozenset({"skip_connect"})
    auxiliary = "s3.r"

    def __init__(self, shape: Shape, classes: int) -> None:
        """Prepare the space for square images of 24 to 256 pixels."""
        super().__init__(shape, classes)
        check_square("darts", shape, 24, 256)

    def emit(self, g: Builder) -> None:
        """Write the network of the paper: CIFAR's up to 64 pixels, ImageNet's for larger images."""
        width, per_stage = int(g.pick("width")), (int(g.pick("cells")) - 2) // 3
        if g.input.shape[1] <= LARGEST_UNSTRIDED:
            # The first cell has no cell before it: both of its inputs are the stem.
            before = x = g.conv("stem", g.input, out=STEM_MULTIPLIER * width, kernel=3)
        else:
            before = g.conv("stem.a", g.input, out=width // 2, kernel=3, stride=2, act="relu")
            before = g.conv("stem.b", before, out=width, kernel=3, stride=2)
            x = g.conv("stem.c", g.act("stem.relu", before, "relu"), out=width, kernel=3, stride=2)
        for stage in range(3):
            if stage:
                before, x = x, self._cell(g, f"s{stage + 1}.r", "reduce", before, x, width << stage)
            for c in range(1, per_stage + 1):
                before, x = x, self._cell(g, f"s{stage + 1}.c{c}", "normal", before, x, width << stage)
        g.linear("classifier", g.global_pool("pool", x), out=self.classes)

    def _cell(self, g: Builder, name: str, cell: str, before: Node, x: Node, width: int) -> Node:
        """Write a cell: both inputs in the cell's width and one size, four nodes, and their concatenation."""
        values = [_preprocessed(g, f"{name}.in0", before, width, x.shape[1]), _preprocessed(g, f"{name}.in1", x, width)]
        activated = [g.act(f"{name}.in{i}.relu", value, "relu") for i, value in enumerate(values)]
        for node in NODES:
            # In a reduction cell the ops on its inputs halve the side; its nodes have the half already.
            edges = [
                self._edge(
                    g, name, f"{cell}.op{i}{node}", values[i], activated[i], 2 if cell == "reduce" and i < 2 else 1
                )
                for i in range(node)
            ]
            sums = {f"{i}{j}": g.add(f"{name}.n{node}.{i}{j}", edges[i], edges[j]) for i, j in pairs(node)}
            choice = f"{cell}.inputs{node}"
            value = g.choose(choice, sums, name=f"{name}.n{node}") if len(sums) > 1 else sums["01"]
            values.append(value)
            if node < NODES[-1]:
                activated.append(g.act(f"{name}.n{node}.relu", value, "relu"))
        return g.concat(name, *values[2:])

    def _edge(self, g: Builder, cell: str, choice: str, x: Node, activated: Node, stride: int) -> Node:
        """Write one of the seven ops; kernels of a kind share their weights."""
        edge = f"{cell}.{choice.partition('.')[2]}"
        # In the authors' code convolutions and the factorised reduction each begin with a ReLU. Here those on one value
        # share it, so it is one kernel. Pools and identities read the value itself.
        alternatives = {
            "max_pool_3x3": g.pool(f"{edge}.max", x, "max", stride=stride),
            "avg_pool_3x3": g.pool(f"{edge}.avg", x, "avg", stride=stride),
            "skip_connect": x if stride == 1 else g.factorized_reduce(f"{edge}.skip", activated, out=x.shape[0]),
        }
        for kernel in (3, 5):
            y = _separable(g, f"{edge}.sep{kernel}a", f"{edge}.sep.a", activated, kernel, stride, "relu")
            y = _separable(g, f"{edge}.sep{kernel}b", f"{edge}.sep.b", y, kernel, 1)
            alternatives[f"sep_conv_{kernel}x{kernel}"] = y
        for kernel in (3, 5):
            y = _separable(g, f"{edge}.dil{kernel}", f"{edge}.dil", activated, kernel, stride, dilation=2)
            alternatives[f"dil_conv_{kernel}x{kernel}"] = y
        return g.choose(choice, alternatives, name=edge)

    def published(self, arch: Arch) -> str:
        """Return the genotype: `Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=...)`."""
        values = self.values(arch)
        cells = [f"{cell}={_terms(values, cell)}, {cell}_concat=range(2, 6)" for cell in CELLS]
        return f"Genotype({', '.join(cells)})"

    def read_published(self, text: str) -> Arch | None:
        """Return a genotype's architecture of the largest allowed width and depth; unused choices stay at option 0.

        Raises:
            UsageError: an unknown op, or nodes that are not the sum of two ops on two values before them.
        """
        match = _GENOTYPE.fullmatch(text)
        if match is None:
            return None
        chosen: dict[str, Option] = {}
        for cell, terms, concat in zip(CELLS, match.group(1, 3), match.group(2, 4), strict=True):
            if not _CONCAT.fullmatch(concat):
                raise UsageError(f"space darts: {cell}_concat is {concat}; here a cell's output is always range(2, 6)")
            chosen |= _read_cell(cell, terms)
        statics = {i: max(self.allowed[i]) for i in self.static_indices}
        return tuple(
            statics[i] if i in statics else choice.options.index(chosen.get(choice.name, choice.options[0]))
            for i, choice in enumerate(self.choices)
        )


def _terms(values: dict[str, Option], cell: str) -> list[tuple[Option, int]]:
    """Return two pairs of op and input for each node."""
    terms = []
    for node in NODES:
        inputs = str(values.get(f"{cell}.inputs{node}", "01"))
        terms += [(values[f"{cell}.op{i}{node}"], int(i)) for i in inputs]
    return terms


def _read_cell(cell: str, text: str) -> dict[str, Option]:
    """Return the options of a cell's choices, from its list of pairs."""
    # The text comes from outside: `literal_eval` reads constants and runs nothing.
    try:
        terms = [(str(op), int(i)) for op, i in ast.literal_eval(text)]
    except (ValueError, TypeError, SyntaxError) as error:
        raise UsageError(f"space darts: {cell} is no list of pairs ('op', input)") from error
    if len(terms) != 2 * len(NODES):
        raise UsageError(f"space darts: {cell} has {len(terms)} pairs, not two for each of {len(NODES)} nodes")
    chosen: dict[str, Option] = {}
    for node, (first, second) in zip(NODES, zip(terms[::2], terms[1::2], strict=True), strict=True):
        inputs = sorted((first[1], second[1]))
        if tuple(inputs) not in pairs(node):
            raise UsageError(f"space darts: node {node} of {cell} reads {inputs}, not two different values before it")
        chosen[f"{cell}.inputs{node}"] = "".join(map(str, inputs))
        for op, i in (first, second):
            if op not in OPS:
                raise UsageError(f"space darts: no op {op!r}; there are {', '.join(OPS)}")
            chosen[f"{cell}.op{i}{node}"] = op
    return chosen


def _separable(
    g: Builder, name: str, weights: str, x: Node, kernel: int, stride: int, act: str = "none", dilation: int = 1
) -> Node:
    """Write a convolution of each channel with its own kernel, then a 1x1 convolution."""
    y = g.depthwise(f"{name}.dw", x, kernel=kernel, stride=stride, dilation=dilation, weights=f"{weights}.dw")
    return g.conv(f"{name}.pw", y, out=x.shape[0], act=act, weights=f"{weights}.pw")


def _preprocessed(g: Builder, name: str, x: Node, width: int, side: int | None = None) -> Node:
    """Write ReLU and a 1x1 convolution to the cell's width, or a factorised reduction if the side is to be halved."""
    y = g.act(f"{name}.read", x, "relu")
    if side is None or x.shape[1] == side:
        return g.conv(name, y, out=width)
    return g.factorized_reduce(name, y, out=width)


def build(shape: Shape, classes: int) -> DARTS:
    """Return the space for images of `shape` (C, H, W) in `classes` classes."""
    return DARTS(shape, classes)
