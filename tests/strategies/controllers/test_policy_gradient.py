from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.trial import Trial
from edgenas.strategies.controllers.policy_gradient import PolicyGradient
from tests.strategies._synthetic import COSTS, GATE, Toy, leads_over_random, rewarded, synthetic

SPACE = Toy(4)
ALLOWED = [(0, 2, 3), (1,), (0, 1)]


def reinforce(rng, **options) -> PolicyGradient:
    return PolicyGradient(synthetic(SPACE, 0.5), rng, **options)


def test_a_round_goes_on_within_a_narrowed_space(rng):
    strategy = reinforce(rng)
    strategy.ask(8)
    strategy.narrow(SPACE.restrict({"k0": [1, 2], "e0": [0]}))
    archs = strategy.ask(8)
    assert archs and all(arch[SPACE.index["k0"]] in (1, 2) and arch[SPACE.index["e0"]] == 0 for arch in archs)
    strategy.tell([Trial(0, arch, strategy.problem.evaluate(arch), 0.5, True) for arch in archs])
    assert strategy.ask(8)


@pytest.mark.parametrize(
    "rewards, advantages",
    [
        ([0.5, 0.5, 0.5], [0.0, 0.0, 0.0]),  # nothing to learn, and nothing divided by zero
        ([0.0, 1.0], [-2.0, 2.0]),  # against the mean of the others, in units of the spread 0.5
        ([1.0, 2.0, 3.0], [-1.8371, 0.0, 1.8371]),
    ],
)
def test_leave_one_out_advantage(rng, rewards, advantages):
    found = reinforce(rng)._advantage(torch.tensor(rewards, dtype=torch.float64))
    assert found.tolist() == pytest.approx(advantages, abs=1e-4)


def test_moving_baseline(rng):
    strategy = reinforce(rng, baseline="moving")
    first = strategy._advantage(torch.tensor([0.0, 1.0], dtype=torch.float64))
    second = strategy._advantage(torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert first.tolist() == pytest.approx([-1.0, 1.0])
    assert strategy.moving == pytest.approx(0.6)
    assert second.tolist() == pytest.approx([0.8, 2.8])


def test_an_update_makes_good_samples_likelier(rng):
    strategy = reinforce(rng, entropy_weight=0.0)
    archs = strategy.ask(8)
    with torch.no_grad():
        before = strategy.controller(archs)[0]
    rewards = [1.0] + [0.0] * (len(archs) - 1)
    strategy.tell(rewarded(archs, rewards))
    strategy.learn()
    with torch.no_grad():
        change = strategy.controller(archs)[0] - before
    assert change[0] > 0 and change[0] == change.max()


def test_the_budget_is_found_without_evaluations(rng):
    """By the time the first `ask` under a tight budget returns, the policy has learnt from costs alone."""
    problem = synthetic(Toy(8), 1e-3)
    strategy = PolicyGradient(problem, rng)
    untrained = np.mean(problem.violation(strategy.controller.sample(200, rng)))
    archs = strategy.ask(1)
    assert all(problem.objective.scored(metrics) for metrics in problem.preview(archs))
    assert np.mean(problem.violation(strategy.controller.sample(200, rng))) < untrained / 2


def test_rewards_on_older_weights_are_forgotten(rng):
    strategy = reinforce(rng)
    archs = strategy.ask(4)
    strategy.tell(rewarded(archs[:3], [0.5] * 3))
    strategy.tell(rewarded(archs[3:], [0.5], weights_version=1))
    assert [arch for arch, _ in strategy.known.values()] == [archs[3]]


def test_rehearsals_teach_and_are_not_remembered(rng):
    """Rewards that are noise around the truth; those of a few rough rounds move the policy as far as it was to go."""
    space = SPACE.restrict({"width": [0], "depth": [2]})
    problem = Problem(space, COSTS, Objective({GATE: 1e6}), lambda arch: {})
    strategy = PolicyGradient(problem, rng)

    def rough(archs):
        return [np.mean(np.array(arch) == 1) + rng.normal(scale=0.05) for arch in archs]

    strategy.rehearse(rough, 60)
    assert np.mean(np.array(strategy.controller.sample(300, rng))[:, 2:] == 1) > 0.7
    assert not strategy.known and not strategy.round and not strategy.evaluated


def test_the_policy_collapses_on_the_best_option(rng):
    """With one good option per choice and enough rounds, samples of the policy hold them."""
    space = SPACE.restrict({"width": [0], "depth": [2]})
    problem = Problem(space, COSTS, Objective({GATE: 1e6}), lambda arch: {"accuracy": np.mean(np.array(arch) == 1)})
    strategy = PolicyGradient(problem, rng)
    for _ in range(30):
        archs = strategy.ask(8)
        strategy.tell([Trial(0, a, m := problem.evaluate(a), m["accuracy"], True) for a in archs])
    untrained = PolicyGradient(problem, np.random.default_rng(1))
    good = [np.mean(np.array(s.controller.sample(300, rng))[:, 2:] == 1) for s in (untrained, strategy)]
    assert good[0] < 0.5 and good[1] > 0.8


@pytest.mark.parametrize("seeds", [10, pytest.param(20, marks=pytest.mark.slow)])
def test_beats_random_at_equal_evaluations(tmp_path, seeds):
    """Mean of many seeds, with the default reward; only feasible architectures count."""
    policy = partial(PolicyGradient, hidden=32)
    leads = leads_over_random(tmp_path, policy, Toy(5), 0.4, seeds=seeds, trials=64, form=PolicyGradient.reward_form)
    assert leads.mean() > 2 * leads.std() / np.sqrt(seeds)
