"""The integer program against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.cost.lookup import LookupCost
from edgenas.cost.memory import PeakBytes
from edgenas.errors import UsageError
from edgenas.exploration.feasible import network_keys
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import is_allowed
from edgenas.strategies.integer_program.program import Program, Solution, solve
from tests._toys import Cell, Recipe, Shared, all_archs, recipes
from tests.strategies._synthetic import COSTS, GATE, PerNode, Toy

SMALL = Toy(4).restrict({"k0": [1], "k1": [0, 2], "e0": [1]})


def random_cost(metric: str, rng: np.random.Generator) -> PerNode:
    prices = rng.random(997)
    cost = PerNode(metric, lambda node: float(prices[sum(node.name.encode()) % 997]))
    cost.intercept = 0.5
    return cost


def random_scores(space: SearchSpace, rng: np.random.Generator) -> list[list[float]]:
    return [rng.normal(size=len(choice.options)).tolist() for choice in space.choices]


def between(values: np.ndarray, share: float) -> float:
    """A budget at this share of `values` that none of them equals."""
    low, *others = np.unique(np.round(values, 9))
    ends = [low - 0.1, low, *others, max(values) + 1.0]
    i = min(int(share * (len(ends) - 1)), len(ends) - 2)
    return float(ends[i] + ends[i + 1]) / 2


def brute(space: SearchSpace, costs, budgets, scores) -> list[float]:
    """The qualities of all feasible networks, best first."""
    archs = all_archs(space)
    fits = np.all([cost.many(space, archs) <= budgets[cost.metric] for cost in costs if cost.metric in budgets], axis=0)
    best: dict[bytes, float] = {}
    for key, arch, fit in zip(network_keys(space, archs), archs, np.broadcast_to(fits, len(archs)), strict=True):
        if fit:
            quality = sum(row[option] for row, option in zip(scores, arch, strict=True))
            best[key] = max(quality, best.get(key, -math.inf))
    return sorted(best.values(), reverse=True)


def assert_optimal(space: SearchSpace, costs, budgets, scores, solution: Solution) -> None:
    qualities = brute(space, costs, budgets, scores)
    assert solution.proven
    if not qualities:
        assert solution.arch is None and solution.quality == solution.bound == -math.inf
        return
    assert solution.quality == pytest.approx(qualities[0], abs=1e-6) == solution.bound
    assert is_allowed(space, solution.arch)
    assert all(cost.many(space, [solution.arch])[0] <= budgets[cost.metric] for cost in costs)


@settings(max_examples=20)
@given(recipes(), st.integers(0, 2**31), st.floats(0, 1), st.floats(0, 1))
def test_equals_brute_force_on_random_programs(space: Recipe, seed, share_a, share_b):
    rng = np.random.default_rng(seed)
    costs = [random_cost("a", rng), random_cost("b", rng)]
    archs = all_archs(space)
    budgets = {
        cost.metric: between(cost.many(space, archs), share)
        for cost, share in zip(costs, (share_a, share_b), strict=True)
    }
    scores = random_scores(space, rng)
    assert_optimal(space, costs, budgets, scores, solve(space, costs, budgets, scores))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("space", [SMALL, Cell(), Shared()], ids=lambda space: space.name)
def test_equals_brute_force_at_every_tightness(space, share, rng):
    budgets = {cost.metric: between(cost.many(space, all_archs(space)), share) for cost in COSTS}
    scores = random_scores(space, rng)
    assert_optimal(space, COSTS, budgets, scores, solve(space, COSTS, budgets, scores))


def test_without_budgets_each_choice_takes_its_best():
    scores = random_scores(SMALL, np.random.default_rng(1))
    assert solve(SMALL, COSTS, {}, scores).arch == SMALL.decode(scores)


def test_equal_scores_are_proven_at_once():
    solution = solve(SMALL, COSTS, {GATE: 1e6}, [[0.25] * len(c.options) for c in SMALL.choices])
    assert solution.proven and solution.quality == solution.bound == 0.25 * len(SMALL.choices)


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("space", [SMALL.restrict({"depth": [0, 1], "width": [0]}), Cell()], ids=lambda s: s.name)
def test_excluded_networks_are_followed_by_the_next_best_until_none_is_left(space, share, rng):
    """Cell has zeros: options that differ and make no difference are the same network."""
    budgets = {GATE: between(COSTS[0].many(space, all_archs(space)), share)}
    scores = random_scores(space, rng)
    qualities = brute(space, COSTS[:1], budgets, scores)
    program, found, archs = Program(space, COSTS, budgets), [], []
    while (solution := program.solve(space, scores, excluded=archs)).arch is not None and len(found) < 12:
        assert solution.proven
        archs.append(solution.arch)
        found.append(solution.quality)
    assert found == pytest.approx(qualities[:12], abs=1e-6)
    assert len(set(network_keys(space, archs))) == len(archs)


def test_a_program_serves_a_space_that_was_narrowed(rng):
    scores, budgets = random_scores(SMALL, rng), {GATE: between(COSTS[0].many(SMALL, all_archs(SMALL)), 0.5)}
    program = Program(SMALL, COSTS, budgets)
    best = program.solve(SMALL, scores).arch
    space = SMALL.restrict({"width": [1 - best[0]], "e1": [1 - best[SMALL.index["e1"]]]})
    assert_optimal(space, COSTS[:1], budgets, scores, program.solve(space, scores, excluded=[best]))


@pytest.mark.parametrize("violation", [0.0, 1e-15, 1e-11])
def test_what_meets_a_budget_by_rounding_alone_is_cut_off(violation, rng):
    """All but the cheapest architectures cost a trifle more than the budget, or exactly as much."""
    values = np.unique(COSTS[0].many(SMALL, all_archs(SMALL)))
    budgets = {GATE: float(values[len(values) // 2] * (1 - violation))}
    scores = random_scores(SMALL, rng)
    assert_optimal(SMALL, COSTS[:1], budgets, scores, solve(SMALL, COSTS, budgets, scores))


@pytest.mark.parametrize(
    "cost", [PeakBytes(), LookupCost("latency_ms@board", [(0,)], [1.0])], ids=lambda cost: cost.metric
)
def test_a_cost_that_is_no_sum_is_refused_by_name(cost):
    with pytest.raises(UsageError, match=f"{cost.metric} is no sum.*evolution"):
        solve(SMALL, [*COSTS, cost], {cost.metric: 1.0}, [])
    assert Program(SMALL, [*COSTS, cost], {GATE: 1.0}).costs == [COSTS[0]]


def test_a_budget_without_a_cost_is_refused():
    with pytest.raises(UsageError, match="watts.*there are latency_ms@test, macs"):
        Program(SMALL, COSTS, {"watts": 1.0})


def test_out_of_time_nothing_is_claimed(rng):
    solution = solve(SMALL, COSTS, {GATE: 1e6}, random_scores(SMALL, rng), seconds=0.0)
    assert not solution.proven and solution.bound > solution.quality


def test_the_optimum_of_mbconv_is_proven(rng):
    space = build_space("mbconv", (1, 28, 28), 10)
    ends = [tuple(options[end] for options in space.allowed) for end in (0, -1)]
    smallest, largest = COSTS[0].many(space, ends)
    budgets = {GATE: float(smallest + 0.2 * (largest - smallest))}
    scores = random_scores(space, rng)
    solution = solve(space, COSTS, budgets, scores)
    assert solution.proven and solution.bound == pytest.approx(solution.quality)
    assert COSTS[0].many(space, [solution.arch])[0] <= budgets[GATE]
    relaxed = solve(space, COSTS, {}, scores)
    assert relaxed.quality > solution.quality
