"""Graphs to compare: of every space, of sums and chains written in several orders; what an untrained network says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.exploration.feasible import uniform
from edgenas.graph.graph import Builder, Graph, Node
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.strategies.predictors.graph_features import parts
from edgenas.strategies.predictors.graph_network import GraphNetwork, batched
from tests._toys import Cell
from tests.strategies._synthetic import Toy

CELLS, BLOCKS = build_space("nasbench201", (3, 32, 32), 10), build_space("mbconv", (3, 32, 32), 10)
SPACES: list[SearchSpace] = [Toy(), Cell(), CELLS, BLOCKS]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)


def builder() -> Builder:
    return Builder((4, 8, 8), (), {})


def by_kernel(order: tuple[int, ...], *, left: bool) -> Graph:
    """A sum of three convolutions written in this order, bracketed from the left or from the right."""
    g = builder()
    written = {k: g.conv(f"k{k}", g.input, out=4, kernel=k) for k in order}
    x, y, z = (written[k] for k in order)
    total = g.add("b", g.add("a", x, y), z) if left else g.add("b", x, g.add("a", y, z))
    g.linear("head", g.global_pool("pool", total), out=3)
    return g.graph()


def chain(g: Builder, x: Node, kernels: tuple[int, ...]) -> Node:
    for i, k in enumerate(kernels):
        x = g.conv(f"c{i}", x, out=4, kernel=k)
    return x


def permuted(graph: Graph, rng: np.random.Generator) -> Graph:
    """The same program with its nodes in another order and under other names."""
    left, nodes = list(graph.nodes[1:]), [graph.nodes[0]]
    while left:
        done = {node.name for node in nodes}
        ready = [node for node in left if done.issuperset(node.inputs)]
        nodes.append(ready[int(rng.integers(len(ready)))])
        left.remove(nodes[-1])
    names = {node.name: f"n{i}" for i, node in enumerate(nodes)}
    renamed = [
        Node(names[n.name], n.op, tuple(names[x] for x in n.inputs), n.in_shapes, n.shape, n.weights) for n in nodes
    ]
    return Graph(tuple(renamed))


def scores(graphs: list[Graph]) -> np.ndarray:
    """What an untrained graph network says of them, and of others that set its scales."""
    found = [parts(graph) for graph in graphs]
    others = [parts(CELLS.graph(arch)) for arch in uniform(CELLS, np.random.default_rng(0), 10)]
    with torch.no_grad():
        network = GraphNetwork(batched(others + found), np.random.default_rng(1))
        said: np.ndarray = network(batched(found)).numpy()
    return said
