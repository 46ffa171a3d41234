import pytest

from edgenas.cost.bounds import extremes
from edgenas.cost.counts import CountCost
from edgenas.cost.memory import PeakBytes
from edgenas.spaces.base import build_space
from edgenas.spaces.sampling import sample
from edgenas.workflows.stages.profile import _best_product, _covered, _spread, describe_narrowing, distinct_nodes, least
from tests._toys import Cell, Shared, all_archs
from tests.latency.tables import table_of


@pytest.mark.parametrize(
    "scores, most, kept",
    [
        ({(0, 0): 1.0}, 3, {(0, 0)}),
        ({(0, 0): 1.0, (0, 1): 3.0, (1, 0): 2.0}, 1, {(0, 1)}),
        ({(0, 0): 1.0, (0, 1): 3.0, (1, 0): 2.9}, 2, {(0, 0), (0, 1)}),  # with (1, 0) it is no product set
        ({(0, 0): 1.0, (0, 1): 3.0, (1, 0): 2.0, (1, 1): 0.5}, 4, {(0, 0), (0, 1), (1, 0), (1, 1)}),
        ({(): 5.0}, 2, {()}),  # a space without static choices
    ],
)
def test_kept_statics_are_a_product_set_around_the_best(scores, most, kept):
    assert set(_best_product(scores, most)) == kept


def test_a_spread_takes_every_kind():
    nodes = distinct_nodes(build_space("mbconv", (1, 28, 28), 10))
    few = _spread(nodes, 40)
    assert len(few) <= 40 and {node.op.kind for node in few} >= {"conv", "se", "add"}
    assert _spread(few, 100) == few
    assert len({node.key for node in nodes}) == len(nodes)


@pytest.mark.parametrize("metric", ["bytes", "params"])
@pytest.mark.parametrize(
    "space", [Shared(), Cell(), build_space("nasbench201", (1, 16, 16), 10)], ids=["shared", "cell", "nasbench201"]
)
def test_extremes_are_the_least_and_the_greatest(space, metric):
    cost = CountCost(metric)
    costs = cost.many(space, all_archs(space))
    smallest, largest = extremes(space, cost)
    assert cost(space.graph(smallest)) == pytest.approx(costs.min())
    assert cost(space.graph(largest)) == pytest.approx(costs.max())


def test_extremes_of_mbconv_bound_its_samples(rng):
    space, cost = build_space("mbconv", (1, 28, 28), 10), CountCost("bytes")
    smallest, largest = extremes(space, cost)
    costs = cost.many(space, [smallest, largest, *(sample(space, rng) for _ in range(500))])
    assert costs[0] <= costs[2:].min() and costs[1] >= costs[2:].max()


@pytest.mark.parametrize("space", [Shared(), Cell()], ids=["shared", "cell"])
@pytest.mark.parametrize("cost", [PeakBytes(), CountCost("params")], ids=["peak", "params"])
def test_no_architecture_costs_less_than_the_least(space, cost, rng):
    assert least(space, cost, rng) == cost.many(space, all_archs(space)).min()


@pytest.mark.parametrize(
    "widths, covered",
    [
        ([], [(0,), (1,)]),
        ([[0, 1]], [(0,), (1,)]),
        ([[0]], [(0,)]),
        ([[0, 1], [1]], [(1,)]),
        ([[0], [1]], [(0,), (1,)]),  # no combination has both tables' ops
    ],
)
def test_statics_are_covered_if_every_table_has_their_ops(widths, covered):
    space = Shared()
    assert _covered(space, [table_of(space.restrict({"width": few})) for few in widths]) == covered


def test_the_narrowing_is_told():
    rows = [
        {"width": 0.5, "resolution": 24, "large_feasible_macs": 1.5e6, "kept": True},
        {"width": 1.0, "resolution": 24, "large_feasible_macs": 0.0, "kept": False},
    ]
    assert describe_narrowing({"combinations": [{"large_feasible_macs": 1e6, "kept": True}]}) == []
    _, kept, left = describe_narrowing({"combinations": rows})
    assert "* width 0.5 resolution 24" in kept and "1.50 M" in kept
    assert "none fits" in left and "*" not in left
