"""What a space has of each limited metric at least."""

import pytest

from edgenas.cost.counts import CountCost
from edgenas.cost.memory import PeakBytes
from edgenas.workflows.stages.minimum import least
from tests._toys import Cell, Shared, all_archs


@pytest.mark.parametrize("space", [Shared(), Cell()], ids=["shared", "cell"])
@pytest.mark.parametrize("cost", [PeakBytes(), CountCost("params")], ids=["peak", "params"])
def test_no_architecture_costs_less_than_the_least(space, cost, rng):
    assert least(space, cost, rng) == cost.many(space, all_archs(space)).min()
