"""GDAS draws hard samples, or hard concrete gates."""

from __future__ import annotations

import pytest

from edgenas.strategies.gdas import Gdas
from edgenas.strategies.gradient.relaxations import Gumbel, HardConcrete
from tests.strategies._synthetic import Toy, built, synthetic


@pytest.mark.parametrize("gates, relaxation", [("softmax", Gumbel), ("hard-concrete", HardConcrete)])
def test_gates_are_an_option(gates, relaxation):
    strategy = built("gdas", synthetic(Toy(3), 0.5), gates=gates)
    assert isinstance(strategy, Gdas) and type(strategy.training.relaxation) is relaxation


@pytest.mark.parametrize("guards, watched", [("on", True), ("off", False)])
def test_collapse_detection_is_an_option(guards, watched):
    strategy = built("gdas", synthetic(Toy(3), 0.5), guards=guards)
    assert (strategy.collapse is not None) == watched == (strategy.training.settings.skip > 0)
