"""Probabilities of options, and what is expected of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.cost.base import CostModel
from edgenas.spaces.build import build_space
from edgenas.strategies.gradient.alphas import Alphas, entropy
from edgenas.strategies.gradient.expected_cost import (
    ExactExpectation,
    FittedExpectation,
    TabulatedExpectation,
    expected_cost,
)
from edgenas.strategies.gradient.relaxations import gumbel, soft, straight_through
from edgenas.system import plugins
from tests.strategies._synthetic import COSTS, Toy

SPACE = Toy(4).restrict({"width": [0], "k1": [0, 2], "e2": [1]})
SPACES = {name: build_space(name, (3, 32, 32), 10) for name in plugins.names("spaces")}


def alphas(seed: int = 0, spread: float = 1.0) -> Alphas:
    made = Alphas(SPACE, np.random.default_rng(seed))
    with torch.no_grad():
        made.logits.copy_(spread * torch.randn(made.logits.shape, generator=torch.Generator().manual_seed(seed)))
    return made


def test_only_what_is_allowed_has_a_probability():
    made = alphas()
    assert made.names() == [c.name for c, o in zip(SPACE.choices, SPACE.allowed, strict=True) if len(o) > 1]
    for row, allowed in zip(made.probabilities(0.9).detach(), made.options(), strict=True):
        assert float(row.sum()) == pytest.approx(1)
        assert {i for i, p in enumerate(row.tolist()) if p > 0} == set(allowed)
    for arch in made.sample(made.probabilities(), 50, np.random.default_rng(0)):
        assert all(option in allowed for option, allowed in zip(arch, SPACE.allowed, strict=True))


@settings(max_examples=30)
@given(st.floats(0, 0.99), st.integers(0, 99), st.sampled_from([1e-3, 0.1, 1.0, 10.0]))
def test_the_floor_holds_and_keeps_the_order(floor, seed, spread):
    made = alphas(seed, spread)
    plain, sharp = made.probabilities(), made.probabilities(floor)
    assert (sharp.amax(1) >= floor - 1e-3).all()
    assert torch.equal(plain.argmax(1), sharp.argmax(1))
    enough = plain.amax(1) > floor + 1e-4
    torch.testing.assert_close(sharp[enough], plain[enough], rtol=1e-3, atol=1e-5)


def test_decode_takes_the_likeliest_and_its_likelihood_is_the_highest():
    made = alphas()
    archs = made.sample(made.probabilities(), 200, np.random.default_rng(0))
    best, *others = made.log_likelihoods([made.decode(), *archs])
    assert best >= max(others) - 1e-6


def test_samples_follow_the_probabilities():
    made = alphas()
    archs = np.array(made.sample(made.probabilities(), 20_000, np.random.default_rng(0)))
    for row, i in zip(made.probabilities().tolist(), made.free, strict=True):
        shares = np.bincount(archs[:, i], minlength=len(row)) / len(archs)
        np.testing.assert_allclose(shares, row, atol=0.02)


def test_entropy_runs_from_certain_to_uniform():
    assert entropy(alphas(spread=0.0).probabilities()) == pytest.approx(1)
    assert entropy(alphas().probabilities(0.999)) < 0.05


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


def test_hard_samples_are_one_branch_with_the_gradient_of_the_soft_one():
    made, rng = alphas(), np.random.default_rng(0)
    samples = gumbel(made.probabilities(), rng, 1.0)
    for mixture, row, allowed in zip(straight_through(samples), samples, made.options(), strict=True):
        assert len(mixture.options) == 1 and mixture.options[0] in allowed
        assert mixture.weights.item() == pytest.approx(1)
        (gradient,) = torch.autograd.grad(mixture.weights.sum(), made.logits, retain_graph=True)
        (expected,) = torch.autograd.grad(row[mixture.options[0]], made.logits, retain_graph=True)
        torch.testing.assert_close(gradient, expected)
        assert torch.isfinite(gradient).all() and gradient.any()


def test_hard_samples_follow_the_probabilities():
    made, rng = alphas(), np.random.default_rng(0)
    probabilities = made.probabilities().detach()
    counts = sum(torch.nn.functional.one_hot(gumbel(probabilities, rng, 0.5).argmax(1), 3) for _ in range(1000))
    torch.testing.assert_close(counts / 1000, probabilities, atol=0.06, rtol=0)


def test_soft_weights_are_the_probabilities_of_what_is_allowed():
    made = alphas()
    probabilities = made.probabilities()
    for mixture, row in zip(soft(probabilities, made.options()), probabilities, strict=True):
        assert torch.equal(mixture.weights, row[list(mixture.options)])
