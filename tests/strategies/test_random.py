from __future__ import annotations

import numpy as np
import pytest

from edgenas.strategies.random import Random
from tests.strategies._synthetic import Toy, synthetic

SPACE = Toy(3)


def test_all_feasible_architectures_are_equally_likely():
    """The first proposal over many seeds, where about a third of the space is feasible."""
    space = SPACE.restrict({"width": [0], "depth": [2], "e0": [0], "e1": [0], "k1": [0], "k2": [0, 1]})
    problem = synthetic(space, 0.3)
    firsts = [Random(problem, np.random.default_rng(seed)).ask()[0] for seed in range(600)]
    archs, counts = np.unique(firsts, axis=0, return_counts=True)
    assert 3 <= len(archs) < 12
    assert counts == pytest.approx(600 / len(archs), rel=0.4)


@pytest.mark.parametrize("budget_share", [1e-6, 0.002, 0.02])
def test_the_smallest_are_found_under_a_tight_budget(budget_share):
    problem = synthetic(Toy(8), budget_share)
    archs = Random(problem, np.random.default_rng(0)).ask(2)
    assert len(archs) >= 1 and problem.feasible(archs).all()
