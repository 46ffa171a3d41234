"""Problem: what a search is about. A space, its costs, an objective, and an evaluator for the quality."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenas.cost.base import CostModel, many_metrics
from edgenas.errors import DataError, EdgeNASError, EnvironmentFault, Interrupted, TooLarge, UsageError
from edgenas.exploration.objective import Metrics, Objective
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace

Score = Callable[[Arch], Metrics]


def unevaluated(arch: Arch) -> Metrics:
    """Stand for an evaluator until there is one."""
    raise EdgeNASError("nothing evaluates architectures yet")


@dataclass(frozen=True)
class Outcome:
    """What became of one evaluation; plain data, so that it can come from another process."""

    metrics: Metrics
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class Problem:
    """What is searched: costs are computed first, and the evaluator is called only if the objective wants a score.

    Args:
        space: the architectures.
        costs: what is known of each before it is trained; every budget needs one.
        objective: budgets and reward.
        evaluator: gives an architecture its quality; an `Evaluator`, or any function from an architecture to metrics;
            none yet, where costs alone are asked for.

    >>> from edgenas.testing.toy import COSTS, ToySpace
    >>> objective = Objective({"macs": 1e5})
    >>> problem = Problem(ToySpace(3), COSTS, objective, lambda arch: {"accuracy": 0.5 + 0.01 * sum(arch)})
    >>> problem.evaluate((0,) * 8)["accuracy"]
    0.5
    >>> problem.feasible([(0,) * 8, (1, 2, 2, 2, 2, 1, 1, 1)]).tolist()
    [True, False]

    Raises:
        UsageError: a budget on a metric that none of the costs computes.
    """

    space: SearchSpace
    costs: tuple[CostModel, ...]
    objective: Objective
    evaluator: Score = unevaluated

    def __post_init__(self) -> None:
        """Check that every budget has its cost."""
        known = [cost.metric for cost in self.costs]
        for metric in self.objective.budgets:
            if metric not in known:
                raise UsageError(f"a budget on {metric!r}, which no cost computes; there are {', '.join(known)}")

    def preview(self, archs: Sequence[Arch], metrics: Sequence[str] | None = None) -> list[Metrics]:
        """Return the costs of each architecture, without evaluating any: all of them, or `metrics` only."""
        costs = [cost for cost in self.costs if metrics is None or cost.metric in metrics]
        columns = many_metrics(costs, self.space, archs)
        # The shape is stated for the case without costs, in which every architecture still has a row, an empty one.
        rows = np.array(list(columns.values())).reshape(len(columns), len(archs)).T.tolist()
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def violation(self, archs: Sequence[Arch]) -> NDArray[np.float64]:
        """Return how far each architecture is above the budgets (len(archs),): `Objective.violation`, 0 if feasible."""
        previews = self.preview(archs, list(self.objective.budgets))
        return np.array([self.objective.violation(metrics) for metrics in previews])

    def feasible(self, archs: Sequence[Arch]) -> NDArray[np.bool_]:
        """Return which architectures meet every budget (len(archs),)."""
        previews = self.preview(archs, list(self.objective.budgets))
        return np.array([self.objective.feasible(metrics) for metrics in previews], dtype=bool)

    def evaluate(self, arch: Arch) -> Metrics:
        """Return all costs of one architecture and, if the objective scores it, what the evaluator adds."""
        # The same route as `preview`: a strategy and the record never disagree about feasibility.
        metrics = self.preview([arch])[0]
        if self.objective.scored(metrics):
            metrics |= self.evaluator(arch)
        return metrics

    def attempt(self, arch: Arch) -> Outcome:
        """Evaluate and time; what goes wrong with this architecture alone becomes the outcome's error.

        Raises:
            UsageError, DataError, EnvironmentFault, Interrupted: they would hit every other architecture as well.
        """
        started = time.monotonic()
        try:
            metrics, error = self.evaluate(arch), None
        except (EdgeNASError, RuntimeError, ArithmeticError, MemoryError) as fault:  # out of memory, diverged, killed
            hits_all = isinstance(fault, UsageError | DataError | EnvironmentFault | Interrupted)
            if hits_all and not isinstance(fault, TooLarge):  # another architecture may be smaller
                raise
            metrics, error = self.preview([arch])[0], f"{type(fault).__name__}: {fault}"
        return Outcome(metrics, time.monotonic() - started, error)
