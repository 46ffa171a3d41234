"""Bilevel training: what it sees, what it steers to, what the guards do, and what discretising changes."""

from __future__ import annotations

import numpy as np

from edgenas.strategies.gradient.bilevel import one_size
from tests.strategies._synthetic import COSTS, Toy, synthetic


def test_one_size_is_one_that_holds_the_largest_feasible_networks():
    problem = synthetic(Toy(4), 0.5)
    one = one_size(problem, np.random.default_rng(0))
    assert len(list(one.space.all_statics())) == 1 and one.costs == COSTS
