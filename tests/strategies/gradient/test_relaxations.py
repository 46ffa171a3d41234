"""Relaxations: what is drawn, and how gradients pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.strategies.gradient.relaxations import gumbel, soft, straight_through
from tests.strategies.gradient._alphas import alphas


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
