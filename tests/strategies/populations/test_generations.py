from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from edgenas.exploration.feasible import uniform
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.spaces.sampling import mutate, one_hot
from edgenas.strategies.populations.generations import CANDIDATES, RANDOM_EVERY, Generational, Plan, decoded
from tests.strategies._synthetic import COSTS, Toy, rewarded, synthetic

SPACE = Toy(4)


class Mutants(Generational):
    """Children differ from the best survivor in a choice or more."""

    def _bred(self, n, attempt):
        archs = [self.problem.space.decode(one_hot(self.problem.space, self.survivors[0][0]))] * n
        for _ in range(1 + attempt):
            archs = [mutate(self.problem.space, arch, self.rng) for arch in archs]
        return archs


def mutants(rng, budget_share: float = 0.4, **options) -> Mutants:
    plan = Plan(parents=3, children=5, initial=6, fill_share=0.5, patience=2)
    return Mutants(synthetic(SPACE, budget_share), rng, replace(plan, **options))


def test_decoded_is_decode_of_many(rng):
    space = SPACE.restrict({"k0": [0, 2], "e1": [1]})
    scores = rng.normal(size=(50, len(space.choices), 3)).round()  # rounded, so that there are ties
    assert decoded(space, scores) == [space.decode(rows) for rows in scores.tolist()]


def test_a_share_of_the_founders_fills_the_budget(rng):
    strategy = mutants(rng, initial=20)
    initial = strategy.ask(20)
    work = COSTS[1].many(SPACE, initial)
    assert len(initial) == 20 and strategy.problem.feasible(initial).all()
    assert np.mean(work[:10]) > 1.2 * np.mean(work[10:])


def test_the_best_of_all_generations_survive(rng):
    strategy = mutants(rng)
    initial = strategy.ask(6)
    strategy.tell(rewarded(initial, [0.1, 0.6, 0.3, 0.5, 0.2, 0.4]))
    children = strategy.ask(5)
    assert [arch for arch, _ in strategy.survivors] == [initial[1], initial[3], initial[5]]
    strategy.tell(rewarded(children, [0.0, 0.55, 0.0, 0.7, 0.0]))
    strategy.ask(1)
    assert [arch for arch, _ in strategy.survivors] == [children[3], initial[1], children[1]]


def test_of_equals_the_newer_survive(rng):
    strategy = mutants(rng)
    strategy.tell(rewarded(strategy.ask(6), [0.5] * 6))
    children = strategy.ask(5)
    strategy.tell(rewarded(children, [0.5, 0.5, 0.4, 0.5, 0.4]))
    strategy.ask(1)
    assert [arch for arch, _ in strategy.survivors] == [children[0], children[1], children[3]]


def test_a_generation_is_judged_when_it_is_complete(rng):
    strategy = mutants(rng)
    strategy.tell(rewarded(strategy.ask(4), [0.5] * 4))
    assert len(strategy.ask(4)) == 2 and not strategy.survivors


def test_without_progress_founders_start_again(rng):
    strategy = mutants(rng)
    sizes = []
    for reward in (0.5, 0.4, 0.3, 0.2):
        archs = strategy.ask(9)
        sizes.append(len(archs))
        strategy.tell(rewarded(archs, [reward] * len(archs)))
    assert sizes == [6, 5, 5, 6]  # two generations of children without progress


def test_rewards_on_older_weights_rank_below_newer_ones(rng):
    strategy = mutants(rng)
    strategy.tell(rewarded(strategy.ask(6), [0.9] * 6))
    children = strategy.ask(5)
    strategy.tell(rewarded(children[:2], [0.2, 0.1], weights_version=1))
    assert all(reward == -math.inf for _, reward in strategy.survivors)
    strategy.tell(rewarded(strategy.waiting, [0.0] * len(strategy.waiting), weights_version=1))
    strategy.waiting = []
    strategy.ask(1)
    assert [arch for arch, _ in strategy.survivors[:2]] == children[:2]


def test_large_ones_are_preferred_among_the_feasible_in_order(rng):
    strategy = mutants(rng)
    archs = uniform(SPACE, rng, 400)
    feasible = [arch for arch, kept in zip(archs, strategy.problem.feasible(archs), strict=True) if kept]
    preferred = strategy._preferred(archs)
    assert set(preferred) == set(feasible)
    large, plain = preferred[:25:5], [arch for i, arch in enumerate(preferred[:25]) if i % 5]
    assert plain == feasible[:20]
    assert np.mean(COSTS[1].many(SPACE, large)) > np.mean(COSTS[1].many(SPACE, plain))


def test_where_nothing_is_feasible_a_few_are_repaired(rng):
    strategy = mutants(rng, 1e-3)
    largest = tuple(len(choice.options) - 1 for choice in SPACE.choices)
    repaired = strategy._preferred([largest] * 20)
    assert 1 <= len(repaired) <= 8 and strategy.problem.feasible(repaired).all()


def test_a_share_of_the_candidates_is_random(rng, monkeypatch):
    strategy = mutants(rng)
    strategy.tell(rewarded(initial := strategy.ask(6), range(6)))
    seen = []
    monkeypatch.setattr(strategy, "_preferred", lambda archs: seen.append(archs) or list(archs))
    strategy.ask(1)
    (archs,) = seen
    distances = np.count_nonzero(np.array(archs) != np.array(initial[-1]), axis=1)
    assert len(archs) == CANDIDATES * 5
    assert (np.delete(distances, np.s_[::RANDOM_EVERY]) == 1).all() and np.mean(distances[::RANDOM_EVERY]) > 3


@pytest.mark.parametrize("option", [0, 1])
def test_narrowing_keeps_of_those_that_wait_what_is_allowed(rng, option):
    strategy = mutants(rng)
    strategy.tell(rewarded(strategy.ask(1), [0.5]))
    waiting = list(strategy.waiting)
    strategy.narrow(SPACE.restrict({"k1": [option]}))
    assert strategy.waiting == [arch for arch in waiting if arch[SPACE.index["k1"]] == option]
    for _ in range(5):
        archs = strategy.ask(3)
        assert {arch[SPACE.index["k1"]] for arch in archs} == {option}
        strategy.tell(rewarded(archs, [0.1] * len(archs)))


def test_children_are_found_beyond_a_known_neighbourhood(rng):
    """All neighbours of the only survivor are known: the next attempts go further."""
    small = SPACE.restrict(
        {choice.name: [0] for choice in SPACE.choices if choice.name not in ("k0", "k1", "e0", "e1")}
    )
    problem = Problem(small, (), Objective(), lambda arch: {})
    strategy = Mutants(problem, rng, Plan(parents=1, children=2, initial=1, fill_share=0.0, patience=100))
    found = []
    while archs := strategy.ask(2):
        strategy.tell(rewarded(archs, [1.0 - len(found)] * len(archs)))
        found += archs
    assert len(found) == len(set(found)) == 36
