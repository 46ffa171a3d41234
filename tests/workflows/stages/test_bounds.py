"""What a space can reach at all."""

import pytest

from edgenas.cost.bounds import cheapest_and_largest
from edgenas.cost.counts import CountCost
from edgenas.errors import BudgetError
from edgenas.latency.predictor import latency_interval
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.workflows.stages.bounds import check_bounds, predicted_bounds
from tests._toys import Cell, Shared, all_archs
from tests.workflows._tasks import table, toy_task


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


def test_elsewhere_the_high_end_decides_at_both_ends():
    task, prices = toy_task(budget_ms=1.0), table()
    bounds = predicted_bounds(task, prices)
    ms, low, high = latency_interval(prices, task.space, estimate_missing=True)
    smallest, largest = (task.space.graph(task.space.parse(code)) for code in (bounds.smallest, bounds.largest))
    assert (bounds.smallest_ms, bounds.largest_ms) == pytest.approx((ms(smallest), ms(largest)))
    assert (bounds.least_ms, bounds.most_ms) == pytest.approx((high(smallest), high(largest)))
    assert bounds.largest_low_ms == pytest.approx(low(largest)) and bounds.largest_low_ms <= bounds.largest_ms

    within = toy_task(budget_ms=(bounds.smallest_ms + bounds.least_ms) / 2)
    with pytest.raises(BudgetError, match="is sure to run"):
        predicted_bounds(within, prices)
    with pytest.raises(BudgetError, match=f"up to {bounds.least_ms:.3f}; ask for"):
        check_bounds(within, bounds)
    check_bounds(task, bounds)
