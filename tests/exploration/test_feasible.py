from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.exploration.feasible import (
    Archive,
    child,
    fill_budget,
    initial_individual,
    network_keys,
    new_samples,
    random_feasible,
    repair,
    scored_bounds,
    uniform,
)
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.spaces.sampling import neighbours, sample
from tests._toys import Cell, Recipe, all_archs, recipes
from tests.strategies._synthetic import COSTS, GATE, PerNode, Toy, macs, synthetic

SPACE = Toy()
SMALLEST = tuple(0 for _ in SPACE.choices)
LARGEST = tuple(len(choice.options) - 1 for choice in SPACE.choices)


def test_uniform_gives_every_allowed_option_its_share(rng):
    space = SPACE.restrict({"k0": [0, 2], "width": [1]})
    archs = np.array(uniform(space, rng, 6000))
    for column, allowed in zip(archs.T, space.allowed, strict=True):
        options, counts = np.unique(column, return_counts=True)
        assert options.tolist() == list(allowed)
        assert counts == pytest.approx(6000 / len(allowed), rel=0.1)


@pytest.mark.parametrize("budget_share", [1e-6, 0.001, 0.02, 0.3])
def test_random_feasible_meets_any_budget_in_reach(rng, budget_share):
    problem = synthetic(SPACE, budget_share)
    archs = [random_feasible(problem, rng) for _ in range(5)]
    assert problem.feasible(archs).all()


def test_random_feasible_gives_up_below_the_smallest(rng):
    assert random_feasible(synthetic(SPACE, -0.001), rng) is None


@pytest.mark.parametrize("budget_share", [0.001, 0.1, 0.5])
def test_repair_reaches_the_budget_from_anywhere(rng, budget_share):
    problem = synthetic(SPACE, budget_share)
    for arch in [LARGEST, *(sample(SPACE, rng) for _ in range(10))]:
        assert problem.feasible([repair(problem, arch, rng)]).all()


def test_repair_from_a_thousand_budgets_above(rng):
    steep = PerNode(GATE, lambda node: macs(node) ** 2)
    smallest, largest = steep.many(SPACE, [SMALLEST, LARGEST]).tolist()
    assert largest > 1000 * smallest
    problem = Problem(SPACE, (steep,), Objective({GATE: 1.01 * smallest}), lambda arch: {})
    assert problem.feasible([repair(problem, LARGEST, rng)]).all()


def test_repair_keeps_what_is_feasible_and_gives_up_out_of_reach(rng):
    assert repair(synthetic(SPACE, 0.1), SMALLEST, rng) == SMALLEST
    assert repair(synthetic(SPACE, -0.001), LARGEST, rng) is None


def test_repair_gives_up_no_more_than_it_must(rng):
    """One step above the budget, the change that keeps most multiply-adds is taken."""
    problem = synthetic(SPACE, 0.99)
    fitting = [arch for arch in neighbours(SPACE, LARGEST) if problem.feasible([arch])[0]]
    most = max(COSTS[1].many(SPACE, fitting))
    assert COSTS[1].many(SPACE, [repair(problem, LARGEST, rng)])[0] == most


def test_filling_the_budget_fills_the_budget(rng):
    problem = synthetic(SPACE, 0.3)
    for _ in range(5):
        start = random_feasible(problem, rng)
        grown = fill_budget(problem, start, rng)
        start_macs, grown_macs = COSTS[1].many(SPACE, [start, grown])
        nearby = neighbours(SPACE, grown)
        larger = COSTS[1].many(SPACE, nearby) > grown_macs
        assert grown_macs >= start_macs and problem.feasible([grown]).all()
        assert not problem.feasible([arch for arch, more in zip(nearby, larger, strict=True) if more]).any()


def test_filling_the_budget_without_macs_goes_by_the_first_budget(rng):
    problem = synthetic(SPACE, 0.3)
    by_latency = Problem(SPACE, COSTS[:1], problem.objective, problem.evaluator)
    grown = fill_budget(by_latency, SMALLEST, rng)
    assert 0.9 * problem.objective.budgets[GATE] < COSTS[0].many(SPACE, [grown])[0] <= problem.objective.budgets[GATE]


def test_filling_the_budget_without_any_size_changes_nothing(rng):
    nothing = Problem(SPACE, (), Objective({}), lambda arch: {})
    assert fill_budget(nothing, SMALLEST, rng) == SMALLEST


def test_options_of_absent_blocks_make_no_new_network():
    shallow, deep = SPACE.index["depth"], SPACE.index[f"k{SPACE.depths[-1] - 1}"]
    for depth, distinct in ((0, 1), (2, 3)):
        archs = [list(SMALLEST) for _ in range(3)]
        for option, arch in enumerate(archs):
            arch[shallow], arch[deep] = depth, option
        assert len(set(network_keys(SPACE, [tuple(arch) for arch in archs]))) == distinct


def test_one_key_is_one_network_in_a_cell_with_zeros():
    space = Cell()
    archs = all_archs(space)
    graphs = {}
    for key, arch in zip(network_keys(space, archs), archs, strict=True):
        assert graphs.setdefault(key, space.graph(arch).nodes) == space.graph(arch).nodes


@given(recipes(), st.data())
def test_one_key_is_one_network_in_any_program(space: Recipe, data):
    archs = all_archs(space)
    first, second = data.draw(st.sampled_from(archs)), data.draw(st.sampled_from(archs))
    key_a, key_b = network_keys(space, [first, second])
    if key_a == key_b:
        assert space.graph(first).nodes == space.graph(second).nodes


def test_statics_are_part_of_the_network():
    other_width = (1, *SMALLEST[1:])
    assert len(set(network_keys(SPACE, [SMALLEST, other_width]))) == 2


def test_an_archive_remembers_networks(rng):
    proposed = Archive(SPACE)
    archs = uniform(SPACE, rng, 5)
    assert proposed.add([archs[0], archs[0], archs[1]], most=5) == archs[:2]
    assert proposed.add(archs, most=2) == archs[2:4]
    again = Archive(SPACE)
    again.load(proposed.state())
    assert again.add(archs, most=5) == archs[4:]


def test_founders_are_new_until_there_is_none(rng):
    few = SPACE.restrict({choice.name: [0] for choice in SPACE.choices if choice.name not in ("k0", "e0")})
    problem, proposed = synthetic(few, 2.0), Archive(few)
    found = [arch for _ in range(6) for arch in initial_individual(problem, proposed, rng, 0.0, attempts=200)]
    assert len(set(network_keys(few, found))) == 6 and initial_individual(problem, proposed, rng, 0.0) == []


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_initial_individuals_fills_the_budget(rng, share):
    problem, proposed = synthetic(SPACE, 0.3), Archive(SPACE)
    found = [initial_individual(problem, proposed, rng, share)[0] for _ in range(60)]
    assert np.mean([fill_budget(problem, arch, rng) == arch for arch in found]) == pytest.approx(share, abs=0.2)


@pytest.mark.parametrize("to_fill", [0, 3, 10])
def test_of_new_samples_the_first_are_grown(rng, to_fill):
    problem = synthetic(SPACE, 0.3)
    found = new_samples(problem, Archive(SPACE), rng, 10, to_fill=to_fill)
    assert len(found) == 10 and problem.feasible(found).all()
    assert all(fill_budget(problem, arch, rng) == arch for arch in found[:to_fill])


@pytest.mark.parametrize("mutations", [0, 1, 4])
def test_a_child_takes_each_choice_from_a_parent_or_mutates_it(rng, mutations):
    problem, parents = synthetic(SPACE, 2.0), itertools.cycle([SMALLEST, LARGEST])
    changes = []
    for _ in range(50):
        born = child(problem, lambda: next(parents), rng, 1.0, mutations)
        changes.append(sum(option not in ends for option, *ends in zip(born, SMALLEST, LARGEST, strict=True)))
    assert max(changes) <= mutations and (max(changes) > 0) == (mutations > 0)


def test_a_child_of_one_parent_is_repaired(rng):
    problem = synthetic(SPACE, 0.3)
    assert child(problem, lambda: SMALLEST, rng, 0.0, 0) == SMALLEST
    assert problem.feasible([child(problem, lambda: LARGEST, rng, 0.0, 0)]).all()
    assert child(synthetic(SPACE, -0.001), lambda: LARGEST, rng, 0.0, 0) is None


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_scored_bounds_are_the_largest_and_the_cheapest_that_any_form_scores(share):
    problem = synthetic(SPACE, share, form="soft")
    largest, cheapest = scored_bounds(problem, np.random.default_rng(0))
    previews = problem.preview([largest, cheapest])
    assert all(problem.objective.scored(metrics) for metrics in previews)
    samples = [arch for arch in uniform(SPACE, np.random.default_rng(1), 500)]
    scored = [m for m in problem.preview(samples) if problem.objective.scored(m)]
    assert previews[0]["macs"] > np.quantile([m["macs"] for m in scored], 0.95)
    assert previews[1][GATE] == min(m[GATE] for m in [*previews, *scored])
    assert (largest, cheapest) == scored_bounds(problem, np.random.default_rng(0))
