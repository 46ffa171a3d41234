"""Augmented Lagrangian of a gradient search: the expected cost in the loss, times a multiplier that learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edgenas.exploration.problem import Problem
from edgenas.strategies.gradient.expected_cost import expected_cost


@dataclass(frozen=True)
class LagrangianSettings:
    """How hard a search is pulled to its budget, each with its reason."""

    pull: float = 30.0  # on the squared violation of the expected cost over the budget: it damps the multiplier
    rate: float = 60.0  # of the multiplier, over the whole search
    target: float = 0.97  # of the budget: discretising takes the rest


class AugmentedLagrangian:
    """The method of multipliers on the tightest budget: the constraint is its expected cost over the target, less 1.

    The multiplier takes both signs, so that what a budget allows is used. Where no budget is given nothing is added.
    """

    def __init__(self, problem: Problem, settings: LagrangianSettings, steps: int, device: torch.device) -> None:
        """Prepare expected costs.

        Args:
            problem: with one combination of shape choices.
            settings: how hard it pulls.
            steps: of the alphas in the whole search.
            device: where the alphas are.
        """
        self.settings, self.steps = settings, steps
        (statics,) = problem.space.all_statics()
        budgets = problem.objective.budgets
        self._costs = {
            cost.metric: (expected_cost(cost, problem.space, statics, device), settings.target * budgets[cost.metric])
            for cost in problem.costs
            if cost.metric in budgets
        }
        self.multiplier = torch.zeros((), device=device)

    def violation(self, rows: Sequence[Tensor]) -> Tensor:
        """Return the constraint () with gradients, by the probabilities of all options; above 0 it is violated."""
        return torch.stack([cost(rows) / target - 1 for cost, target in self._costs.values()]).amax()

    @torch.no_grad()
    def expected(self, rows: Sequence[Tensor]) -> dict[str, float]:
        """Return expected costs by metric."""
        return {metric: float(cost(rows)) for metric, (cost, _) in self._costs.items()}

    def loss(self, rows: Sequence[Tensor]) -> Tensor:
        """Return what is added to the loss of the alphas; the multiplier learns from it."""
        if not self._costs:
            return self.multiplier  # a zero without a gradient, by which callers know that nothing pulls
        violation = self.violation(rows)
        loss = self.multiplier * violation + self.settings.pull / 2 * violation.square()
        # The rate is of the whole search, so that a longer one does not pull harder.
        self.multiplier = self.multiplier + self.settings.rate / self.steps * violation.detach()
        return loss

    def state(self) -> Any:
        """Return the multiplier."""
        return self.multiplier.clone()

    def load(self, state: Any) -> None:
        """Load what `state` returned."""
        self.multiplier = state.to(self.multiplier.device)
