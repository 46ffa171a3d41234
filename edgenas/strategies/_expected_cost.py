"""The expected cost of independent choices as a tensor with gradients: one step a choice, where nodes are thousands."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from edgenas.conditions import TRUE, Answers
from edgenas.cost.base import AdditiveCost, CostModel
from edgenas.spaces._base import SearchSpace, Statics
from edgenas.spaces._genes import one_hot, sample

SAMPLES = 1000  # that a cost which is no sum is fitted on


class Expected(Protocol):
    """Expected cost (), `probabilities[choice]` (options,) being those of its options."""

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """With gradients."""
        ...


def expected_cost(cost: CostModel, space: SearchSpace, statics: Statics, device: torch.device) -> Expected:
    """Of the networks with these static options: exact for a sum over nodes, else as near as a sum over choices."""
    kind = ExactExpectation if isinstance(cost, AdditiveCost) else FittedExpectation
    return kind(cost, space, statics, device)  # type: ignore[arg-type]


class ExactExpectation:
    """What `AdditiveCost.expected` gives, for tensors."""

    def __init__(self, cost: AdditiveCost, space: SearchSpace, statics: Statics, device: torch.device) -> None:
        """Prices every node once."""
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
        """Expected cost ()."""
        values = self._constants
        for choice, branches in self._levels:
            values = torch.cat([values, values[branches] @ probabilities[choice]])
        total: Tensor = self._intercept + values[self._wanted] @ self._costs
        return total


class FittedExpectation:
    """Of a cost that is no sum, such as peak memory or a look-up: the sum over choices that fits it best."""

    def __init__(self, cost: CostModel, space: SearchSpace, statics: Statics, device: torch.device) -> None:
        """Least squares on random architectures."""
        rng = np.random.default_rng(0)
        fixed = {space.choices[i].name: [o] for i, o in zip(space.static_indices, statics, strict=True)}
        within = space.restrict(fixed)
        archs = [sample(within, rng) for _ in range(SAMPLES)]
        features = np.array([[*itertools.chain(*one_hot(within, arch)), 1.0] for arch in archs])
        fitted = np.linalg.lstsq(features, cost.many(within, archs), rcond=None)[0]
        sizes = [len(choice.options) for choice in space.choices]
        parts = np.split(fitted[:-1], np.cumsum(sizes)[:-1])
        self._intercept = float(fitted[-1])
        self._costs = [torch.tensor(part, dtype=torch.float32, device=device) for part in parts]

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Expected cost ()."""
        terms = [p @ costs for p, costs in zip(probabilities, self._costs, strict=True)]
        return self._intercept + torch.stack(terms).sum()
