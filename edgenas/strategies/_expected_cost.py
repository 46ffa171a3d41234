"""The expected cost of independent choices as a tensor with gradients: one step a choice, where nodes are thousands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from edgenas.conditions import TRUE, Answers
from edgenas.cost.base import AdditiveCost
from edgenas.spaces._base import SearchSpace, Statics


class ExpectedCost:
    """What `AdditiveCost.expected` gives, for tensors."""

    def __init__(self, cost: AdditiveCost, space: SearchSpace, statics: Statics, device: torch.device) -> None:
        """Of the networks with these static options."""
        conditions = space.conditions(statics)
        live = sorted(set(conditions.live))
        answers = Answers(conditions.diagrams, live)
        by_diagram = np.bincount(np.searchsorted(live, conditions.live), cost.supergraph_costs(space, statics))
        self._intercept = cost.intercept
        self._costs = torch.tensor(by_diagram, dtype=torch.float32, device=device)
        self._wanted = torch.from_numpy(answers.wanted).to(device)
        self._levels = [(choice, torch.from_numpy(branches).to(device)) for choice, branches in answers.levels]
        self._constants = torch.tensor([0.0, 1.0], device=device)
        assert TRUE == 1  # and false comes before it

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Expected cost (), `probabilities[choice]` (options,) being those of its options."""
        values = self._constants
        for choice, branches in self._levels:
            values = torch.cat([values, values[branches] @ probabilities[choice]])
        total: Tensor = self._intercept + values[self._wanted] @ self._costs
        return total
