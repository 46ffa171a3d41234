"""ProxylessNAS is bilevel training with its own relaxation."""

from __future__ import annotations

from edgenas.strategies.gradient.relaxations import BinaryGates
from edgenas.strategies.proxyless import Proxyless
from tests.strategies._synthetic import Toy, built, synthetic


def test_its_relaxation():
    strategy = built("proxyless", synthetic(Toy(3), 0.5))
    assert isinstance(strategy, Proxyless) and type(strategy.training.relaxation) is BinaryGates


def test_the_largest_first_has_no_auxiliary_skip_connection():
    plain, largest = (
        built("proxyless", synthetic(Toy(3), 0.5), **{"warm-up": value}) for value in ("mixed", "largest")
    )
    assert not plain.training.opening and plain.training.settings.skip == 1.0
    assert largest.training.opening and largest.training.settings.skip == 0.0
