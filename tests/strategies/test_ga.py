from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest

from edgenas.exploration import driver
from edgenas.exploration.objective import Objective
from edgenas.exploration.pareto import hypervolume
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.spaces.sampling import sample
from edgenas.strategies.ga import GA, _order
from edgenas.strategies.random import Random
from tests.strategies._synthetic import COSTS, GATE, Accuracy, Toy, forget, leads_over_random, load_json

SPACE = Toy(4)


def unbounded(seed: int = 0) -> Problem:
    return Problem(SPACE, COSTS, Objective({}), Accuracy(SPACE, seed))


def searched(folder, problem: Problem, strategy: Strategy, trials: int) -> list[Trial]:
    study = Study(folder, problem.objective, forget, load_json)
    driver.run_search(problem, strategy, study, max_trials=trials)
    return study.trials


@pytest.mark.parametrize(
    "qualities, costs, order",
    [
        ([1, 2, 3], [[1], [1], [1]], [2, 1, 0]),  # at equal costs the better
        ([1, 1, 1], [[3], [2], [1]], [2, 1, 0]),  # at equal quality the cheaper
        ([3, 1, 2], [[3], [1], [3]], [0, 1, 2]),  # both ends of the first front before what is dominated
        ([1, 4, 5, 9], [[1], [4], [5], [9]], [0, 3, 2, 1]),  # one front: ends, then the least crowded
        ([1, 2, 9], [[], [], []], [2, 1, 0]),  # no costs at all
        ([], [], []),
    ],
)
def test_order_by_hand(qualities, costs, order):
    assert _order(qualities, costs).tolist() == order


@pytest.mark.parametrize(
    "budgets, metrics, objectives",
    [
        ({}, None, [GATE]),  # the first cost
        ({"macs": 1e9}, None, ["macs"]),
        ({"macs": 1e9, GATE: 1e9}, None, ["macs", GATE]),
        ({GATE: 1e9}, ["macs"], ["macs"]),
    ],
)
def test_which_costs_are_objectives(rng, budgets, metrics, objectives):
    problem = Problem(SPACE, COSTS, Objective(budgets), lambda arch: {})
    assert GA(problem, rng, metrics=metrics).metrics == objectives


def test_costs_far_below_the_budget_count_as_equal(rng):
    problem = Problem(SPACE, COSTS, Objective({GATE: 10.0}), lambda arch: {})
    strategy = GA(problem, rng, floor=0.5, metrics=[GATE, "macs"])
    assert [strategy._costs({GATE: ms, "macs": 7.0}) for ms in (1.0, 5.0, 8.0)] == [[5.0, 7.0], [5.0, 7.0], [8.0, 7.0]]


def test_the_dominated_and_the_failed_do_not_survive(rng):
    strategy = GA(unbounded(), rng, population_size=3)
    archs = [sample(SPACE, rng) for _ in range(6)]
    table = [(0.1, 1.0), (0.2, 5.0), (0.9, 4.0), (0.5, 2.0), (0.4, 3.0)]
    metrics = [{"accuracy": quality, GATE: ms} for quality, ms in table] + [{GATE: 0.5}]
    trials = [
        Trial(i, a, m, 0.0, i != 5, error="killed" if i == 5 else None)
        for i, (a, m) in enumerate(zip(archs, metrics, strict=True))
    ]
    strategy.tell(trials)
    assert sorted(strategy.population) == [0, 2, 3]


def test_qualities_on_older_weights_are_forgotten(rng):
    strategy = GA(unbounded(), rng)
    archs = [sample(SPACE, rng) for _ in range(3)]
    for i, arch in enumerate(archs):
        strategy.tell([Trial(i, arch, {"accuracy": 0.5, GATE: 1.0}, 0.5, True, weights_version=i // 2)])
    assert [arch for arch, *_ in strategy.members] == archs[2:] and strategy.population == [0]


def test_a_restored_model_is_the_same(rng):
    problem = unbounded()
    strategy, again = GA(problem, rng, initial=8, population_size=6), GA(problem, np.random.default_rng(1))
    for _ in range(12):
        strategy.tell([Trial(0, a, problem.evaluate(a), 0.5, True) for a in strategy.ask(2)])
    again.load_state_dict(strategy.state_dict())
    archs = [sample(SPACE, rng) for _ in range(20)]
    for mine, theirs in zip(strategy._learned().predict(archs), again._learned().predict(archs), strict=True):
        assert np.array_equal(mine, theirs)


def test_the_front_reaches_both_ends(tmp_path, rng):
    """The cheapest architecture of all, and one of at least nine tenths of the best quality there is."""
    space = SPACE.restrict({"k2": [0], "k3": [0]})
    archs = list(itertools.product(*space.allowed))
    problem = Problem(space, COSTS, Objective({}), Accuracy(space, 0))
    trials = searched(tmp_path, problem, GA(problem, rng), 80)
    best = max(problem.evaluator(arch)["accuracy"] for arch in archs)
    assert min(t.metrics[GATE] for t in trials) == pytest.approx(COSTS[0].many(space, archs).min())
    assert max(t.metrics["accuracy"] for t in trials) > 0.9 * best


@pytest.mark.parametrize("children", [1, 8])
def test_beats_random_in_hypervolume(tmp_path, children):
    """Mean of 12 seeds at equal evaluations; what the children's competition adds is not needed for it."""
    margins = []
    for seed in range(12):
        problem, rngs = unbounded(seed), np.random.default_rng(seed).spawn(2)
        ours = searched(tmp_path / f"{seed}g", problem, GA(problem, rngs[0], children=children, initial=16), 48)
        control = searched(tmp_path / f"{seed}r", problem, Random(problem, rngs[1]), 48)
        fronts = [[(-t.metrics["accuracy"], t.metrics[GATE]) for t in trials] for trials in (ours, control)]
        corner = np.max(np.concatenate(fronts), axis=0)
        margins.append(np.log(hypervolume(fronts[0], corner) / hypervolume(fronts[1], corner)))
    assert np.mean(margins) > 2 * np.std(margins) / np.sqrt(len(margins))


@pytest.mark.parametrize("seeds", [10, pytest.param(20, marks=pytest.mark.slow)])
def test_beats_random_under_a_budget(tmp_path, seeds):
    """Mean of many seeds at equal evaluations."""
    leads = leads_over_random(tmp_path, partial(GA, initial=12), SPACE, 0.3, seeds=seeds, trials=36)
    assert leads.mean() > 2 * leads.std() / np.sqrt(seeds)
