from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from edgenas.spaces.sampling import sample
from edgenas.strategies.evolution import Evolution
from tests.strategies._synthetic import Toy, leads_over_random, rewarded, synthetic

SPACE = Toy()


def test_the_oldest_dies_not_the_worst(rng):
    strategy = Evolution(synthetic(SPACE, 0.3), rng, population_size=4)
    archs = [sample(SPACE, rng) for _ in range(6)]
    strategy.tell(rewarded(archs, [-float(i) for i in range(6)]))
    assert [arch for arch, _ in strategy.population] == archs[2:]


def test_a_tournament_of_many_is_won_by_the_best(rng):
    strategy = Evolution(synthetic(SPACE, 0.3), rng, population_size=8, tournament_size=200)
    archs = [sample(SPACE, rng) for _ in range(8)]
    strategy.tell(rewarded(archs, [float(i % 5) for i in range(8)]))
    assert strategy._parent() == archs[4]


def test_children_are_feasible_mutations_of_the_population(rng):
    problem = synthetic(SPACE, 0.5)
    strategy = Evolution(problem, rng, population_size=6, crossover_share=0.0, fill_share=0.0)
    initial = strategy.ask(6)
    strategy.tell(rewarded(initial, [0.5] * 6))
    distances = []
    for child in strategy.ask(20):
        distances.append(min(sum(a != b for a, b in zip(child, parent, strict=True)) for parent in initial))
    assert problem.feasible([arch for arch, _ in strategy.population]).all()
    assert np.median(distances) <= 2 and min(distances) == 1


@pytest.mark.parametrize("seeds", [10, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("budget_share", [0.15, 0.6])
def test_does_not_lose_to_random(tmp_path, budget_share, seeds):
    """Mean of many seeds at equal evaluations, under a tight and a loose budget."""
    settled = partial(Evolution, population_size=12, tournament_size=4)
    assert leads_over_random(tmp_path, settled, Toy(4), budget_share, seeds=seeds, trials=40).mean() > 0
