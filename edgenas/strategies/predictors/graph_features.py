"""The derived graph of an architecture as a graph network reads it: a chain of parts, equal ones together.

Every value of a network passes through its cut nodes: between two of them lies a *part*, a cell or a block, whatever
the space. A part is a *structure*, free of absolute sizes, at a place with sizes. A structure that many parts and many
architectures share is there once. Sums of sums are one sum, so the order in which a space writes them does not count.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.graph.graph import Graph, Node
from edgenas.graph.ops import (
    ACTIVATIONS,
    NORMALISED,
    Act,
    Add,
    Concat,
    Conv,
    FactorizedReduce,
    GlobalPool,
    Linear,
    Op,
    Pool,
    Shape,
    SqueezeExcite,
    Zero,
)

ENTRY, DEPTHWISE, MAX, AVERAGE = "entry", "depthwise", "max", "avg"
KINDS = (
    ENTRY,
    DEPTHWISE,
    MAX,
    AVERAGE,
    *(op.kind for op in (Conv, Act, SqueezeExcite, Add, Concat, Zero, Linear, GlobalPool)),
)
LEARNS = KINDS.index(DEPTHWISE), KINDS.index(Conv.kind)
MACS, PARAMS = 4, 5  # positions in the sizes of a part
Symbol = tuple[float, ...]


@dataclass(frozen=True)
class Structure:
    """Nodes of one part in order, the first its entry, the last its exit: symbols, and inputs by position."""

    symbols: tuple[Symbol, ...]
    inputs: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Part:
    """A structure at its place: `sizes` are of its channels, sides, work and position; `count` parts are equal."""

    structure: Structure
    sizes: tuple[float, ...]
    count: int


def parts(graph: Graph) -> list[Part]:
    """Return the parts of a network from input to output; equal structures of equal sizes are one part."""
    nodes = flat(graph)
    place = {node.name: i for i, (node, _) in enumerate(nodes)}
    inputs = [tuple(place[name] for name in names) for _, names in nodes]
    cuts = _cuts(inputs)
    found: dict[tuple[Structure, tuple[float, ...]], list[float]] = {}
    for start, end in zip(cuts, cuts[1:], strict=False):
        inner = [node for node, _ in nodes[start + 1 : end + 1]]
        structure = Structure(
            (ENTRY_SYMBOL, *(_symbol(node.op, node.in_shapes[0][0]) for node in inner)),
            ((), *(tuple(i - start for i in inputs[k]) for k in range(start + 1, end + 1))),
        )
        key = structure, _sizes(nodes[start][0].shape, inner)
        found.setdefault(key, []).append((start + end) / 2 / len(nodes))
    return [Part(structure, (*sizes, sum(at) / len(at)), len(at)) for (structure, sizes), at in found.items()]


def flat(graph: Graph) -> list[tuple[Node, tuple[str, ...]]]:
    """Return nodes with the names of their inputs; a sum that only another sum reads has become part of that one."""
    readers: dict[str, list[Node]] = {}
    for node in graph:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    terms: dict[str, tuple[str, ...]] = {}
    kept = []
    for node in graph:
        names = tuple(term for name in node.inputs for term in terms.get(name, (name,)))
        reads = readers.get(node.name, [])
        if isinstance(node.op, Add) and len(reads) == 1 and isinstance(reads[0].op, Add):
            terms[node.name] = names
        else:
            kept.append((node, names))
    return kept


def _cuts(inputs: Sequence[tuple[int, ...]]) -> list[int]:
    """Return positions of the nodes that everything behind them depends on alone, the first and the last included."""
    last = list(range(len(inputs)))
    for i, sources in enumerate(inputs):
        for source in sources:
            last[source] = max(last[source], i)
    cuts, furthest = [0], 0
    # A node is a cut if no value from before it is read behind it.
    for i in range(1, len(inputs)):
        furthest = max(furthest, last[i - 1])
        if furthest <= i:
            cuts.append(i)
    return cuts


@functools.cache
def _symbol(op: Op, channels: int) -> Symbol:
    """Return kind and fields of an op; its channels are relative to `channels` at its input."""
    match op:
        case Conv():
            kind = DEPTHWISE if op.groups == channels > 1 else op.kind
            reach = op.dilation * (op.kernel - 1) + 1
            kernel, stride, ratio = math.log2(reach), math.log2(op.stride), math.log2(op.out / channels)
            return _encoded(kind, op.act, kernel, stride, ratio, 0.0 if kind == DEPTHWISE else math.log2(op.groups))
        case FactorizedReduce():  # nearly the convolution of that stride
            return _encoded(Conv.kind, stride=1.0, ratio=math.log2(op.out / channels))
        case Pool():
            return _encoded(op.mode, kernel=math.log2(op.kernel), stride=math.log2(op.stride))
        case Act():
            return _encoded(op.kind, op.act)
        case SqueezeExcite():
            return _encoded(op.kind, ratio=math.log2(op.hidden / channels))
        case _:
            return _encoded(op.kind)


def _encoded(
    kind: str, act: str = "none", kernel: float = 0.0, stride: float = 0.0, ratio: float = 0.0, groups: float = 0.0
) -> Symbol:
    return (
        *(float(kind == k) for k in KINDS),
        *(float(act == a) for a in ACTIVATIONS[1:]),
        kernel,
        stride,
        ratio,
        groups,
    )


ENTRY_SYMBOL = _encoded(ENTRY)


def _sizes(entry: Shape, nodes: Sequence[Node]) -> Symbol:
    """Return logarithms of channels and sides on both ends, of MACs and of parameters."""
    end = nodes[-1].shape
    params, macs = (sum(column) for column in zip(*(_work(node.op, node.in_shapes) for node in nodes), strict=True))
    return tuple(math.log2(1 + x) for x in (entry[0], entry[1], end[0], end[1], macs, params))


@functools.cache
def _work(op: Op, shapes: tuple[Shape, ...]) -> tuple[int, int]:
    """Return parameters and MACs of an op on these inputs."""
    params = sum(math.prod(shape) for shape in op.parameters(*shapes).values())
    return params, params * math.prod(op.shape(*shapes)[1:]) if isinstance(op, NORMALISED) else params


@functools.lru_cache(1 << 15)
def node_features(structure: Structure) -> np.ndarray:
    """Return (nodes, features): symbols, numbers of inputs and readers, depths and paths from entry and to exit."""
    inputs = structure.inputs
    readers: list[list[int]] = [[] for _ in inputs]
    for i, sources in enumerate(inputs):
        for source in sources:
            readers[source].append(i)
    learns = [bool(symbol[LEARNS[0]] or symbol[LEARNS[1]]) for symbol in structure.symbols]
    order = range(len(inputs))
    down = _paths(inputs, learns, order)
    up = _paths(readers, learns, order[::-1])
    degrees = np.array([(len(a), len(b)) for a, b in zip(inputs, readers, strict=True)], dtype=float)
    return np.concatenate([np.array(structure.symbols), degrees, down, up], axis=1)


def _paths(sources: Sequence[Sequence[int]], learns: Sequence[bool], order: Sequence[int]) -> np.ndarray:
    """Return per node: convolutions on the longest and shortest path to it, and the logarithm of how many paths."""
    paths = np.zeros((len(sources), 3))
    for i in order:
        if len(sources[i]):
            before = paths[list(sources[i])]
            paths[i] = before[:, 0].max(), before[:, 1].min(), np.logaddexp2.reduce(before[:, 2])
        paths[i, :2] += learns[i]
    return paths


def network_features(found: Sequence[Part]) -> np.ndarray:
    """Return (features,) of a whole network: depths, paths, parameters, MACs, and how often each symbol occurs."""
    counts = np.array([part.count for part in found], dtype=float)
    # The last six features of a node are its paths from the entry, then to the exit: at the exit the former are the
    # part's. Parts lie one behind the other, so their depths add up, and the logarithms of their numbers of paths too.
    ends = np.array([node_features(part.structure)[-1, -6:-3] for part in found])
    symbols = np.array([np.sum(part.structure.symbols, axis=0) for part in found])
    totals = [np.log2(1 + counts @ np.exp2([part.sizes[k] for part in found])) for k in (MACS, PARAMS)]
    # Sums of symbols may be negative, as ratios of channels are logarithms.
    return np.concatenate(
        [counts @ ends, np.log2(1 + np.maximum(0, counts @ symbols)), totals, [np.log2(counts.sum())]]
    )
