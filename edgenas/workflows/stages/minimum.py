"""Before anything is timed: the least that a space has of each metric that is limited beside the latency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgenas.cost.base import AdditiveCost, CostModel
from edgenas.cost.bounds import cheapest_arch
from edgenas.cost.counts import CountCost
from edgenas.errors import BudgetError
from edgenas.exploration.feasible import uniform
from edgenas.graph.graph import Arch, Graph
from edgenas.spaces.base import SearchSpace
from edgenas.system import text
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import AttainableMinimum
from edgenas.workflows.task import Task

SAMPLES = 400  # random architectures that the minimum of a cost that is no sum is looked for in
# In bytes of what is moved: too little to change an order, enough to tell architectures of the same cost apart.
TIE_BREAK = 1e-12


class _TieBroken(CostModel):
    """Another cost, with the bytes that are moved as a tie-break.

    Where two blocks share a peak of memory, neither lowers it alone; with the tie-break a descent goes on.
    """

    def __init__(self, cost: CostModel) -> None:
        self.metric, self.cost = cost.metric, cost
        self._bytes = CountCost("bytes")

    def __call__(self, graph: Graph) -> float:
        return self.cost(graph) + TIE_BREAK * self._bytes(graph)

    def many(self, space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
        total: np.ndarray = self.cost.many(space, archs) + TIE_BREAK * self._bytes.many(space, archs)
        return total


def least(space: SearchSpace, cost: CostModel, rng: np.random.Generator) -> float:
    """Return the least that any architecture costs; of what is no sum of blocks, the least of samples too.

    Args:
        space: of the architectures.
        cost: any cost, in its own unit.
        rng: draws the samples.
    """
    # Coordinate descent is exact for a sum of blocks; a peak of memory is a maximum, in which it may get stuck.
    if isinstance(cost, AdditiveCost):
        return float(cost.many(space, [cheapest_arch(space, cost)])[0])
    return float(cost.many(space, [cheapest_arch(space, _TieBroken(cost)), *uniform(space, rng, SAMPLES)]).min())


def attainable_minimum(task: Task, ctx: Context) -> AttainableMinimum:
    """Return the least that the space has of each metric that is limited beside the latency.

    Raises:
        BudgetError: a limit is below that, which is named.
    """
    costs: list[CostModel] = [CountCost("params"), task.peak, *task.costs]
    known = {cost.metric: cost for cost in costs}
    found = {}
    for limit in task.limits[1:]:  # the first is the latency here, which `Bounds` is about
        value = found[limit.metric] = least(task.space, known[limit.metric], ctx.rng("least"))
        if value > limit.bound:
            raise BudgetError(
                f"no {task.space.name} network keeps to {limit}: the least is {text.figure(limit.metric, value)}; "
                f"ask for {limit.flag_for(value)} or more"
            )
    return AttainableMinimum(found)
