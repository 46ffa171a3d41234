"""Which paths a single-path training trains."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgenas.errors import BudgetError
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.spaces.sampling import is_allowed
from edgenas.strategies.controllers.lstm import Controller
from edgenas.strategies.one_shot.path_samplers import PolicyPaths, fair_group, fair_paths, group_size, uniform_paths
from tests.strategies._synthetic import COSTS, GATE, Accuracy, synthetic
from tests.strategies.one_shot._paths import PROBLEM, SPACE


@given(st.sets(st.integers(0, 2), min_size=1), st.sets(st.integers(0, 1), min_size=1), st.integers(0, 999))
def test_a_fair_group_has_every_option_of_the_widest_choices_once(kernels, expansions, seed):
    space = SPACE.restrict({"k0": sorted(kernels), "e1": sorted(expansions)})
    group = fair_group(space, np.random.default_rng(seed))
    assert len(group) == group_size(space) == 3 and all(is_allowed(space, arch) for arch in group)
    for i, options in enumerate(space.allowed):
        counts = Counter(arch[i] for arch in group)
        assert set(counts) == set(options) and max(counts.values()) - min(counts.values()) <= 1


def test_fair_groups_are_those_nearest_to_the_budget():
    def violation(groups):
        return np.mean([PROBLEM.violation(group).sum() for group in groups])

    rng = np.random.default_rng(0)
    chosen = list(islice(fair_paths(PROBLEM, rng, 0), 50))
    assert violation(chosen) < violation([fair_group(SPACE, rng) for _ in range(50)])


@pytest.mark.parametrize("form", ["hard", "absolute"])
@pytest.mark.parametrize("budget_share", [0.01, 0.3, 2.0])
def test_only_what_the_objective_scores_is_trained(form, budget_share, rng):
    problem = synthetic(SPACE, budget_share, form=form)
    policy = PolicyPaths(Controller(SPACE.allowed, 8, rng), 20)
    for paths in (uniform_paths, policy):
        archs = [arch for group in islice(paths(problem, rng, 0), 150) for arch in group]
        previews = problem.preview(archs, [GATE])
        assert len(archs) == 150 and all(problem.objective.scored(metrics) for metrics in previews)


def test_uniform_paths_have_every_option_equally_often(rng):
    problem = replace(PROBLEM, objective=Objective({}))
    archs = np.array([arch for (arch,) in islice(uniform_paths(problem, rng, 0), 6000)])
    for i, options in enumerate(SPACE.allowed):
        np.testing.assert_allclose(np.bincount(archs[:, i]) / len(archs), 1 / len(options), atol=0.03)


def test_a_budget_out_of_reach_has_no_paths(rng):
    problem = Problem(SPACE, COSTS, Objective({GATE: 1e-6}), Accuracy(SPACE, 0))
    with pytest.raises(BudgetError):
        next(uniform_paths(problem, rng, 0))


def test_policy_paths_turn_from_random_ones_to_the_policys_own(rng):
    problem = replace(PROBLEM, objective=Objective({}))
    controller = Controller(SPACE.allowed, 8, rng)
    with torch.no_grad():
        controller.heads.mul_(1e4)
    favourite = Counter(controller.sample(200, rng)).most_common(1)[0][0]
    kept = [
        np.mean(np.equal(favourite, arch)) for (arch,) in islice(PolicyPaths(controller, 600)(problem, rng, 0), 900)
    ]
    early, middle, late = np.mean(kept[:150]), np.mean(kept[225:375]), np.mean(kept[600:])
    assert early < middle < late and early < 0.6
