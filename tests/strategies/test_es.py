from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgenas.strategies.es import PLAN, EvolutionStrategy, distribution, margin
from tests.strategies._synthetic import Toy, leads_over_random, rewarded, synthetic

SPACE = Toy(4)
SMALLEST = (0,) * len(SPACE.choices)
LARGEST = tuple(len(choice.options) - 1 for choice in SPACE.choices)


def told(rng, archs, rewards, **options) -> EvolutionStrategy:
    """A strategy after a generation of these."""
    strategy = EvolutionStrategy(synthetic(SPACE, 0.5), rng, **options)
    strategy.tell(rewarded(archs, rewards))
    strategy.ask()
    return strategy


@pytest.mark.parametrize(
    "parents, mean",  # weights log(n + 1/2) - log(rank), normalised
    [
        (["a"], [1.0, 0.0]),
        (["a", "a"], [1.0, 0.0]),
        (["a", "b"], [0.8042, 0.1958]),
        (["b", "a"], [0.1958, 0.8042]),
        (["a", "b", "b"], [0.6370, 0.3630]),
    ],
)
def test_the_mean_is_the_weighted_one_of_the_parents(parents, mean):
    archs = {"a": SMALLEST, "b": (1, *SMALLEST[1:])}
    means, variances = distribution(SPACE, [archs[parent] for parent in parents])
    assert means[0, :2] == pytest.approx(mean, abs=1e-4)
    assert variances[0, :2] == pytest.approx(mean[0] * mean[1], abs=1e-4)
    assert means[1:, 0] == pytest.approx(1.0) and variances[1:] == pytest.approx(0.0)


def test_the_mean_moves_towards_the_better(rng):
    """Where the reward counts first options, a generation's mean scores them higher than the one before."""
    strategy = EvolutionStrategy(synthetic(SPACE, 2.0), rng, replace(PLAN, patience=100))
    shares = []
    for _ in range(12):
        while True:
            archs = strategy.ask(4)
            strategy.tell(rewarded(archs, [float(np.mean(np.array(arch) == 0)) for arch in archs]))
            if not strategy.waiting:
                break
        strategy._select()
        shares.append(distribution(SPACE, [arch for arch, _ in strategy.survivors])[0][:, 0].mean())
    assert shares == sorted(shares) and shares[-1] > shares[0] + 0.3


@pytest.mark.parametrize("changes", [0.5, 1.0, 2.0])
def test_children_of_equal_parents_differ_in_so_many_choices(rng, changes):
    strategy = told(rng, [SMALLEST] * 4, [0.5] * 4, changes=changes)
    children = np.array(strategy._bred(4000, 0))
    assert np.count_nonzero(children, axis=1).mean() == pytest.approx(changes, rel=0.15)


def test_each_attempt_goes_further(rng):
    strategy = told(rng, [SMALLEST, LARGEST, SMALLEST], [0.5, 0.2, 0.4])
    distances = [np.count_nonzero(strategy._bred(2000, attempt), axis=1).mean() for attempt in range(4)]
    assert distances == sorted(distances) and distances[-1] > 1.5 * distances[0]


@pytest.mark.parametrize("free", [{}, {"k0": [0, 1, 2]}])
def test_the_margin_of_a_space_without_much_choice_is_a_number(free):
    space = SPACE.restrict({choice.name: [0] for choice in SPACE.choices if choice.name not in free})
    assert 0 < margin(space, 1.0) < 100


@pytest.mark.parametrize("budget_share", [0.15, 0.6])
def test_beats_random(tmp_path, budget_share):
    """Mean of 8 seeds at equal evaluations, under a tight and a loose budget."""
    leads = leads_over_random(
        tmp_path,
        lambda problem, rng: EvolutionStrategy(problem, rng, replace(PLAN, initial=8)),
        Toy(6),
        budget_share,
        seeds=8,
        trials=60,
    )
    assert leads.mean() > 2 * leads.std() / np.sqrt(8)
