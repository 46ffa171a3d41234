"""The integer program of a space: flows are whole with the options, and a cut takes off one network alone."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.exploration.feasible import network_keys
from edgenas.strategies.integer_program.network_flow import FlowProgram
from tests._toys import all_archs
from tests.strategies._synthetic import COSTS, Toy

SMALL = Toy(4).restrict({"width": [0], "k0": [1], "k1": [0, 2], "k3": [0], "e0": [1], "e1": [0]})
(STATICS,) = SMALL.all_statics()
EQUAL = [[0.0] * len(choice.options) for choice in SMALL.choices]


def program(budget: float) -> FlowProgram:
    return FlowProgram(SMALL, STATICS, COSTS[:1], [budget])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_budget_is_the_cost_of_what_is_chosen(share, rng):
    archs = all_archs(SMALL)
    costs = COSTS[0].many(SMALL, archs)
    budget = float(np.quantile(costs, share))
    scores = [rng.normal(size=len(choice.options)).tolist() for choice in SMALL.choices]
    arch, bound = program(budget).solve(SMALL.allowed, scores, [], whole=True, seconds=10.0)
    qualities = [sum(row[o] for row, o in zip(scores, a, strict=True)) for a in archs]
    best = max(q for q, cost in zip(qualities, costs, strict=True) if cost <= budget)
    assert arch is not None and COSTS[0].many(SMALL, [arch])[0] <= budget * (1 + 1e-9)
    assert sum(row[o] for row, o in zip(scores, arch, strict=True)) == pytest.approx(best) and bound >= best - 1e-6


def test_a_relaxation_is_never_below_the_whole_program(rng):
    scores = [rng.normal(size=len(choice.options)).tolist() for choice in SMALL.choices]
    budget = float(np.median(COSTS[0].many(SMALL, all_archs(SMALL))))
    whole, relaxed = (program(budget).solve(SMALL.allowed, scores, [], whole=w, seconds=10.0)[1] for w in (True, False))
    assert relaxed >= whole - 1e-6


def test_cuts_leave_all_other_networks():
    made, cuts, found = program(1e6), [], []
    while (arch := made.solve(SMALL.allowed, EQUAL, cuts, whole=True, seconds=10.0)[0]) is not None:
        found.append(arch)
        cuts.append(made.cut(arch))
    assert set(network_keys(SMALL, found)) == set(network_keys(SMALL, all_archs(SMALL)))
