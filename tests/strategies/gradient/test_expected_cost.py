"""Expected costs as tensors: exact for sums, close for all else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.cost.base import CostModel
from edgenas.spaces.build import build_space
from edgenas.strategies.gradient.alphas import Alphas
from edgenas.strategies.gradient.expected_cost import (
    ExactExpectation,
    FittedExpectation,
    TabulatedExpectation,
    expected_cost,
)
from edgenas.system import plugins
from tests.strategies._synthetic import COSTS, Toy

SPACES = {name: build_space(name, (3, 32, 32), 10) for name in plugins.names("spaces")}


@pytest.mark.parametrize("name", SPACES)
def test_the_expected_cost_is_that_of_the_sum_over_nodes(name, rng):
    space = SPACES[name]
    statics = next(space.all_statics())
    fixed = dict(zip(space.static_indices, statics, strict=True))
    for cost in COSTS:
        expected = ExactExpectation(cost, space, statics, torch.device("cpu"))
        rows = [
            torch.from_numpy(np.eye(len(c.options))[fixed[i]] if i in fixed else rng.dirichlet(np.ones(len(c.options))))
            .float()
            .requires_grad_()
            for i, c in enumerate(space.choices)
        ]
        plain = cost.expected(space, statics, rows)
        assert expected(rows).item() == pytest.approx(plain.item(), rel=1e-4)
        free = [row for i, row in enumerate(rows) if i not in fixed]
        ours = torch.autograd.grad(expected(rows), free, allow_unused=True)
        theirs = torch.autograd.grad(plain, free, allow_unused=True)
        torch.testing.assert_close(
            [torch.zeros_like(row) if g is None else g for row, g in zip(free, ours, strict=True)],
            [torch.zeros_like(row) if g is None else g for row, g in zip(free, theirs, strict=True)],
            rtol=1e-3,
            atol=1e-6,
        )


class Square(CostModel):
    """No sum over anything: the square of the multiply-adds in 10,000."""

    metric = "square"

    def __call__(self, graph):
        return (COSTS[0](graph) / 1e4) ** 2


@pytest.mark.parametrize(("blocks", "kind"), [(4, TabulatedExpectation), (9, FittedExpectation)])
def test_the_expected_cost_of_what_is_no_sum(blocks, kind, rng):
    """Exact where all can be priced; else as near as a sum is, which certain choices show least."""
    space = Toy(blocks).restrict({"k1": [0, 2], "e2": [1]})
    expected = expected_cost(Square(), space, (0,), torch.device("cpu"))
    assert isinstance(expected, kind)
    made = Alphas(space.restrict({"width": [0]}), rng)
    rows = made.rows(made.probabilities())
    archs = made.sample(made.probabilities(), 2000, rng)
    costs = Square().many(space, archs)
    assert expected(rows).item() == pytest.approx(costs.mean(), abs=4 * costs.std() / np.sqrt(len(archs)))
    assert torch.autograd.grad(expected(rows), [made.logits])[0].abs().max() > 0
    certain = [torch.eye(len(c.options))[o] for c, o in zip(space.choices, archs[0], strict=True)]
    assert expected(certain).item() == pytest.approx(costs[0], rel=1e-5 if kind is TabulatedExpectation else 0.5)
