"""The augmented Lagrangian: a search comes to its budget, from both sides."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from edgenas.exploration.objective import Objective
from edgenas.strategies.gradient.relaxations import Gumbel
from edgenas.training.context import TrainingContext
from tests.strategies._synthetic import GATE, Toy, synthetic
from tests.strategies.gradient._training import TINY, training


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_the_expected_cost_is_steered_to_the_budget_from_both_sides(share):
    """With nothing else to learn: images are noise."""
    problem = synthetic(Toy(5).restrict({"width": [0]}), share)
    t = training(Gumbel(), problem, epochs=24, warm_up=0.1)
    t.advance(t.steps, TrainingContext())
    expected = t.lagrangian.expected(t.alphas.rows(t.probabilities()))[GATE]
    assert expected == pytest.approx(t.settings.lagrangian.target * problem.objective.budgets[GATE], rel=0.15)


def test_without_a_budget_nothing_is_added():
    t = training(problem=replace(synthetic(TINY, 0.4), objective=Objective({})))
    assert float(t.lagrangian.loss(t.alphas.rows(t.probabilities()))) == 0


def test_alphas_that_ceased_to_learn_follow_the_budget_and_nothing_else():
    problem = synthetic(Toy(5).restrict({"width": [0]}), 0.25)
    steered = training(problem=problem, epochs=24, warm_up=0.1)
    free = training(problem=replace(problem, objective=Objective({})))
    for t in (steered, free):
        t.learns = False
    before = free.alphas.logits.detach().clone()
    steered.advance(steered.steps, TrainingContext())
    with torch.no_grad():
        assert abs(float(steered.lagrangian.violation(steered.alphas.rows(steered.probabilities())))) < 0.15
    free.advance(free.steps, TrainingContext())
    assert torch.equal(free.alphas.logits, before)
