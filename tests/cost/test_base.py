from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from edgenas.cost.base import AdditiveCost, many_additive, many_metrics
from edgenas.cost.counts import CountCost
from edgenas.cost.memory import PeakBytes
from tests._toys import Cell, Recipe, Shared, all_archs, recipes


class Nodes(AdditiveCost):
    """3 and 2 for each node."""

    metric = "nodes"
    intercept = 3.0

    def node_costs(self, nodes):
        return np.full(len(nodes), 2.0)


def test_a_graph_costs_the_intercept_and_its_nodes():
    graph = Shared().graph((0, 0, 0, 0))
    assert Nodes()(graph) == 3 + 2 * len(graph.priced)


def test_supergraph_costs_leave_out_what_is_free():
    space = Cell()
    costs = Nodes().supergraph_costs(space, ())
    assert [cost == 2.0 for cost in costs] == [node.priced for node in space.supergraph(())]


@settings(max_examples=50)
@given(recipes())
def test_many_is_one_by_one(space: Recipe):
    archs = all_archs(space)
    costs = [Nodes(), CountCost("bytes")]
    one_by_one = [[cost(space.graph(arch)) for arch in archs] for cost in costs]
    np.testing.assert_allclose(many_additive(costs, space, archs), one_by_one)
    np.testing.assert_allclose(costs[0].many(space, archs), one_by_one[0])


def test_many_mixes_statics_and_kinds_of_cost():
    space = Shared()
    archs = all_archs(space)[::-1]
    costs = [PeakBytes(), Nodes(), CountCost("bytes")]
    metrics = many_metrics(costs, space, archs)
    assert list(metrics) == ["peak_bytes", "nodes", "bytes"]
    for cost in costs:
        np.testing.assert_allclose(metrics[cost.metric], [cost(space.graph(arch)) for arch in archs])


def test_nodes_are_priced_once_for_a_space_and_its_parts():
    asked = []

    class Asked(Nodes):
        def node_costs(self, nodes):
            asked.append(nodes)
            return super().node_costs(nodes)

    space, cost = Shared(), Asked()
    for part in (space, space, space.restrict({"kernel": [0]})):
        cost.many(part, all_archs(part))
    assert len(asked) == len(list(space.all_statics()))
    assert cost.many(Cell(), [(0, 0, 0)]) == Nodes().many(Cell(), [(0, 0, 0)])


def test_costs_travel_with_their_space():
    """What was priced goes along to another process, and still belongs to the same space there."""
    space, cost = Shared(), Nodes()
    before = cost.many(space, all_archs(space))
    there, costing = pickle.loads(pickle.dumps((space, cost)))
    np.testing.assert_array_equal(costing.many(there, all_archs(there)), before)


def test_many_of_nothing():
    assert many_additive([Nodes()], Shared(), []).shape == (1, 0)
    assert PeakBytes().many(Shared(), []).shape == (0,)


def test_expected_cost_works_on_floats_columns_and_tensors():
    space, cost = Cell(), CountCost("bytes")
    rows = [[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1], [0.0, 0.5, 0.25, 0.25]]
    expected = sum(
        np.prod([row[o] for row, o in zip(rows, arch, strict=True)]) * cost(space.graph(arch))
        for arch in itertools.product(range(4), repeat=3)
    )
    assert cost.expected(space, (), rows) == pytest.approx(expected)
    columns = [[np.full(5, p) for p in row] for row in rows]
    np.testing.assert_allclose(cost.expected(space, (), columns), np.full(5, expected))
    tensors = [torch.tensor(row, dtype=torch.float64, requires_grad=True) for row in rows]
    total = cost.expected(space, (), tensors)
    total.backward()
    assert total.item() == pytest.approx(expected) and all(tensor.grad is not None for tensor in tensors)


def test_gradient_of_the_expected_cost_is_what_the_option_adds():
    """The expectation is linear in each choice's probabilities, so its slope is a difference of costs."""
    space, cost = Cell(), CountCost("bytes")
    rows = [torch.tensor([0.0, 0.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True) for _ in space.choices]
    cost.expected(space, (), rows).backward()
    slope = rows[2].grad
    assert slope is not None
    step = cost(space.graph((2, 2, 3))) - cost(space.graph((2, 2, 2)))
    assert (slope[3] - slope[2]).item() == pytest.approx(step)
