"""Bounds of a space's costs: exact where every block has a best option of its own, close elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.cost.bounds import cheapest_and_largest, cheapest_arch, largest_arch
from edgenas.cost.counts import CountCost
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from tests._toys import Cell, Shared, all_archs

COSTS = [CountCost("params"), CountCost("bytes")]


@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: str(cost.metric))
@pytest.mark.parametrize(
    "space", [Shared(), Shared().restrict({"width": [1], "gate": [0]}), Cell()], ids=["shared", "narrowed", "cell"]
)
def test_bounds_of_small_spaces_are_exact(space, cost):
    values = cost.many(space, all_archs(space))
    cheapest, largest = cheapest_and_largest(space, cost)
    assert cost(space.graph(cheapest)) == pytest.approx(values.min())
    assert cost(space.graph(largest)) == pytest.approx(values.max())


def test_bounds_obey_what_is_allowed():
    space = Shared().restrict({"kernel": [1], "expand": [0]})
    for arch in cheapest_and_largest(space, CountCost("params")):
        assert space.values(arch)["kernel"] == 5 and space.values(arch)["expand"] == 1


@pytest.mark.parametrize("name, shape", [("mbconv", (1, 28, 28)), ("chain", (1, 28, 28)), ("darts", (3, 32, 32))])
def test_no_sample_lies_outside(name, shape, rng):
    space, cost = build_space(name, shape, 10), CountCost("bytes")
    space = space.restrict({space.choices[i].name: [0] for i in space.static_indices})
    values = cost.many(space, [sample(space, rng) for _ in range(300)])
    low, high = cost.many(space, [cheapest_arch(space, cost), largest_arch(space, cost)])
    assert low <= values.min() and values.max() <= high and np.isfinite(high)
