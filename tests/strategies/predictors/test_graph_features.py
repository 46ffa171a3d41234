"""What a graph network reads: nothing but the network counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas.exploration.feasible import uniform
from edgenas.strategies.predictors.graph_features import MACS, PARAMS, network_features, node_features, parts
from tests.strategies.predictors._graphs import CELLS, builder, by_kernel, chain, every_space, permuted, scores


@every_space
def test_parts_hold_all_work_and_all_nodes_but_joined_sums(space, rng):
    """Multiply-adds and parameters of the parts sum to those of the nodes."""
    for arch in uniform(space, rng, 5):
        graph = space.graph(arch)
        params = sum(np.prod(shape) for node in graph for shape in node.parameters.values())
        found = parts(graph)
        assert sum(p.count * (2 ** p.sizes[PARAMS] - 1) for p in found) == pytest.approx(params)
        assert sum(p.count * (2 ** p.sizes[MACS] - 1) for p in found) >= params * 0.999


def test_equal_cells_are_one_part():
    """Five cells a stage: three sizes of one structure. The activation before each is a part of its own."""
    found = parts(CELLS.graph(tuple(CELLS.choices[0].options.index("nor_conv_3x3") for _ in CELLS.choices)))
    cells = [part for part in found if len(part.structure.inputs) == 11]
    assert [part.count for part in cells] == [5, 5, 5] and len({part.structure for part in cells}) == 1


@pytest.mark.parametrize("order", list(itertools.permutations((1, 3, 5))))
@pytest.mark.parametrize("left", [True, False])
def test_sums_do_not_depend_on_how_they_are_written(order, left):
    first, other = scores([by_kernel((1, 3, 5), left=True), by_kernel(order, left=left)])
    assert other == pytest.approx(first, abs=1e-5)


@every_space
def test_the_order_and_the_names_of_nodes_do_not_count(space, rng):
    graphs = [space.graph(arch) for arch in uniform(space, rng, 8)]
    again = scores([permuted(graph, rng) for graph in graphs] + graphs)
    np.testing.assert_allclose(again[:8], again[8:], atol=1e-4)


def test_depths_and_ways_of_a_graph_laid_by_hand():
    """input -> two convolutions -> + -> head, with input -> one convolution -> +, and input -> +."""
    g = builder()
    x = g.add("a", chain(g, g.input, (3, 3)), g.add("b", g.conv("side", g.input, out=4), g.input))
    g.linear("head", g.global_pool("pool", x), out=3)
    found = parts(g.graph())
    deep, shallow, ways = node_features(found[0].structure)[-1, -6:-3]
    assert len(found) == 3 and (deep, shallow, 2**ways) == (2, 0, pytest.approx(3))
    assert network_features(found)[:3] == pytest.approx([deep, shallow, ways])
