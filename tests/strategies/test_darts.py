"""DARTS is bilevel training with its own relaxation."""

from __future__ import annotations

from edgenas.strategies.darts import Darts
from edgenas.strategies.gradient.relaxations import Softmax
from tests.strategies._synthetic import Toy, built, synthetic


def test_its_relaxation():
    strategy = built("darts", synthetic(Toy(3), 0.5))
    assert isinstance(strategy, Darts) and type(strategy.training.relaxation) is Softmax


def test_the_largest_first_has_no_auxiliary_skip_connection():
    problem = synthetic(Toy(3), 0.5)
    plain, largest = (built("darts", problem, **{"warm-up": value}) for value in ("mixed", "largest"))
    assert not plain.training.opening and plain.training.settings.skip == 1.0
    assert largest.training.opening and largest.training.settings.skip == 0.0
