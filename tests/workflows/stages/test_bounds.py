"""What a space can reach at all."""

import pytest

from edgenas.cost.bounds import cheapest_and_largest
from edgenas.cost.counts import CountCost
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from tests._toys import Cell, Shared, all_archs


@pytest.mark.parametrize("metric", ["bytes", "params"])
@pytest.mark.parametrize(
    "space", [Shared(), Cell(), build_space("nasbench201", (1, 16, 16), 10)], ids=["shared", "cell", "nasbench201"]
)
def test_extremes_are_the_least_and_the_greatest(space, metric):
    cost = CountCost(metric)
    costs = cost.many(space, all_archs(space))
    smallest, largest = cheapest_and_largest(space, cost)
    assert cost(space.graph(smallest)) == pytest.approx(costs.min())
    assert cost(space.graph(largest)) == pytest.approx(costs.max())


def test_extremes_of_mbconv_bound_its_samples(rng):
    space, cost = build_space("mbconv", (1, 28, 28), 10), CountCost("bytes")
    smallest, largest = cheapest_and_largest(space, cost)
    costs = cost.many(space, [smallest, largest, *(sample(space, rng) for _ in range(500))])
    assert costs[0] <= costs[2:].min() and costs[1] >= costs[2:].max()
