from __future__ import annotations

import numpy as np
import pytest

from edgenas.cost.lookup import LookupCost
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.spaces.sampling import neighbours
from edgenas.strategies.local import Local
from tests._toys import all_archs
from tests.strategies._synthetic import COSTS, GATE, Toy, leads_over_random, rewarded, synthetic

SPACE = Toy(4)


def told(strategy: Local, rewards: list[float], weights_version: int = 0, n: int | None = None) -> list:
    """What the next `ask` proposes, told with these rewards."""
    archs = strategy.ask(n or len(rewards))
    strategy.tell(rewarded(archs, rewards, weights_version))
    return archs


def steps(a, b) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    "rewards, centre",
    [
        ([0.5, 0.4, 0.3], 0),  # worse neighbours leave the centre where it is
        ([0.5, 0.5, 0.5], 0),  # so do equals
        ([0.5, 0.6, 0.55], 1),  # the first better one is taken
        ([0.5, 0.6, 0.7], 2),
        ([-1.5, -0.5, 0.1], 2),  # failed trials are below any other
    ],
)
def test_the_centre_moves_to_the_first_better_one(rng, rewards, centre):
    strategy = Local(synthetic(SPACE, 2.0), rng)
    proposed = [told(strategy, [reward])[0] for reward in rewards]
    assert strategy.centre == (proposed[centre], rewards[centre])


def test_of_a_batch_the_best_is_taken(rng):
    strategy = Local(synthetic(SPACE, 2.0), rng)
    told(strategy, [0.5], n=1)
    archs = told(strategy, [0.6, 0.8, 0.7])
    assert strategy.centre == (archs[1], 0.8)


def test_proposals_within_the_budget_are_the_centres_neighbours(rng):
    strategy = Local(synthetic(SPACE, 2.0), rng)
    start = told(strategy, [0.5])[0]
    nearby = neighbours(SPACE, start)
    assert all(told(strategy, [0.4])[0] in nearby for _ in range(8))


def test_a_local_optimum_is_left(rng):
    """Once all neighbours are known to be worse, the climb starts afresh, further away than one step."""
    strategy = Local(synthetic(SPACE, 2.0), rng)
    start = told(strategy, [0.9])[0]
    proposed = [told(strategy, [0.1])[0] for _ in range(len(neighbours(SPACE, start)) + 2)]
    assert max(steps(arch, start) for arch in proposed) > 1 and strategy.centre[1] == 0.1


def test_a_feasible_set_in_pieces_is_no_trap(rng):
    """Only equal kernels fit the budget: no two feasible architectures are neighbours, and the climb goes on."""
    space = SPACE.restrict({choice.name: [0] for choice in SPACE.choices if choice.name not in ("k0", "k1")})
    archs = all_archs(space)
    kernels = [(arch[space.index["k0"]], arch[space.index["k1"]]) for arch in archs]
    pieces = LookupCost(GATE, archs, np.array([1.0 + abs(a - b) for a, b in kernels]))
    problem = Problem(space, (pieces, COSTS[1]), Objective({GATE: 1.5}), lambda arch: {})
    strategy = Local(problem, rng)
    equal = {arch for arch, (a, b) in zip(archs, kernels, strict=True) if a == b}
    start = told(strategy, [0.5], n=1)[0]
    second = told(strategy, [0.6])[0]
    third = told(strategy, [0.7])[0]
    assert {start, second, third} == equal and strategy.centre == (third, 0.7)
    assert not equal & {*neighbours(space, start), *neighbours(space, second)}


def test_newer_weights_begin_anew(rng):
    strategy = Local(synthetic(SPACE, 2.0), rng)
    told(strategy, [0.9])
    newer = told(strategy, [0.2], weights_version=1)[0]
    assert strategy.centre == (newer, 0.2)


@pytest.mark.parametrize("budget_share", [0.15, 0.6])
def test_beats_random(tmp_path, budget_share):
    """Mean of 20 seeds at equal evaluations, under a tight and a loose budget."""
    leads = leads_over_random(tmp_path, Local, SPACE, budget_share, seeds=20, trials=40)
    assert leads.mean() > 2 * leads.std() / np.sqrt(20)
