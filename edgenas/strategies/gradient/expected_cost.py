"""The expected cost of independent choices as a tensor with gradients: one step a choice, where nodes are thousands."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from edgenas.cost.base import AdditiveCost, CostModel
from edgenas.graph.conditions import TRUE, CompiledDiagrams
from edgenas.spaces.base import SearchSpace, Statics
from edgenas.spaces.sampling import one_hot, sample

SAMPLES = 1000  # architectures on which a cost that is no sum is fitted
TABULATED = 20_000  # architectures up to which all of them are priced: that takes seconds for peak memory


class Expected(Protocol):
    """A function that gives an expected cost; `probabilities[choice]` (options,) are those of its options."""

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Return the expected cost () with gradients."""
        ...


def expected_cost(cost: CostModel, space: SearchSpace, statics: Statics, device: torch.device) -> Expected:
    """Return the expected cost of networks with these shape choices, exact for sums and where all can be priced.

    Args:
        cost: of a network.
        space: of the networks.
        statics: the shape choices.
        device: of the probabilities.
    """
    if isinstance(cost, AdditiveCost):
        return ExactExpectation(cost, space, statics, device)
    fixed = {space.choices[i].name: [o] for i, o in zip(space.static_indices, statics, strict=True)}
    within = space.restrict(fixed)
    kind = TabulatedExpectation if math.prod(map(len, within.allowed)) <= TABULATED else FittedExpectation
    return kind(cost, within, device)


class ExactExpectation:
    """The exact expectation of a sum over nodes: what `AdditiveCost.expected` gives, for tensors."""

    def __init__(self, cost: AdditiveCost, space: SearchSpace, statics: Statics, device: torch.device) -> None:
        """Price every node once."""
        conditions = space.conditions(statics)
        live = sorted(set(conditions.live))
        answers = CompiledDiagrams(conditions.diagrams, live)
        # Nodes under the same condition are one term: their costs add up.
        by_diagram = np.bincount(np.searchsorted(live, conditions.live), cost.supergraph_costs(space, statics))
        self._intercept = cost.intercept
        self._costs = torch.tensor(by_diagram, dtype=torch.float32, device=device)
        self._wanted = torch.from_numpy(answers.wanted).to(device)
        self._levels = [(choice, torch.from_numpy(branches).to(device)) for choice, branches in answers.levels]
        self._constants = torch.tensor([0.0, 1.0], device=device)
        assert TRUE == 1  # and false comes before it

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Return the expected cost ()."""
        values = self._constants
        for choice, branches in self._levels:
            values = torch.cat([values, values[branches] @ probabilities[choice]])
        total: Tensor = self._intercept + values[self._wanted] @ self._costs
        return total


class TabulatedExpectation:
    """The expectation of any cost in a space so small that every architecture is priced, such as one of a table."""

    def __init__(self, cost: CostModel, space: SearchSpace, device: torch.device) -> None:
        """Price every architecture once."""
        self._offered = [torch.tensor(options, device=device) for options in space.allowed]
        prices = np.asarray(cost.many(space, list(itertools.product(*space.allowed))))
        shape = [len(options) for options in space.allowed]
        self._prices = torch.tensor(prices.reshape(shape), dtype=torch.float32, device=device)

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Return the expected cost (), where what is not offered has no probability."""
        left = self._prices
        for p, offered in zip(probabilities, self._offered, strict=True):
            left = torch.tensordot(p[offered], left, dims=1)
        return left


class FittedExpectation:
    """The expectation of a cost that is no sum, such as peak memory, by the sum over choices that fits it best."""

    def __init__(self, cost: CostModel, space: SearchSpace, device: torch.device) -> None:
        """Fit the sum by least squares on random architectures."""
        # A fixed seed: a resumed search, and every process, gets the same fit.
        rng = np.random.default_rng(0)
        archs = [sample(space, rng) for _ in range(SAMPLES)]
        features = np.array([[*itertools.chain(*one_hot(space, arch)), 1.0] for arch in archs])
        fitted = np.linalg.lstsq(features, cost.many(space, archs), rcond=None)[0]
        sizes = [len(choice.options) for choice in space.choices]
        parts = np.split(fitted[:-1], np.cumsum(sizes)[:-1])
        self._intercept = float(fitted[-1])
        self._costs = [torch.tensor(part, dtype=torch.float32, device=device) for part in parts]

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Return the expected cost ()."""
        terms = [p @ costs for p, costs in zip(probabilities, self._costs, strict=True)]
        return self._intercept + torch.stack(terms).sum()
