"""The supernet evaluator: which architectures each step trains, and that the seed decides."""

from __future__ import annotations

import pytest
import torch

from edgenas.evaluators import supernet
from edgenas.exploration.feasible import scored_bounds
from edgenas.testing import evaluator_contract
from edgenas.testing.toy import ToyContext, ToyPriced, ToySpace, toy_problem

SPACE = ToySpace(3)
PROBLEM = toy_problem(SPACE, 0.4)


def test_every_step_trains_the_bounds_and_two_that_are_scored(rng):
    largest, cheapest = scored_bounds(PROBLEM, rng)
    for step in range(20):
        archs = supernet.training_archs(PROBLEM, 0, step, largest, cheapest)
        assert archs[:2] == [largest, cheapest] and len(archs) == 2 + supernet.STUDENTS
        assert (PROBLEM.violation(archs[2:]) <= 0.5).all()
    assert archs == supernet.training_archs(PROBLEM, 0, 19, largest, cheapest)
    assert archs != supernet.training_archs(PROBLEM, 1, 19, largest, cheapest)


@pytest.fixture(scope="module")
def built():
    return supernet.build(ToyPriced(PROBLEM), ToyContext())


def test_keeps_the_contract(built):
    evaluator_contract(built, SPACE)
    assert not built.own_weights


def test_the_seed_decides(built):
    again = supernet.build(ToyPriced(PROBLEM), ToyContext())
    assert all(map(torch.equal, built.supernet.parameters(), again.supernet.parameters()))
