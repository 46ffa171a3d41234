"""Weights of the strategy: only a strategy that trains some has them."""

from __future__ import annotations

import pytest

from edgenas.errors import UsageError
from edgenas.evaluators import shared
from edgenas.system import plugins
from edgenas.testing.toy import ToyContext, ToyPriced, ToySpace, build_strategy, toy_problem

PROBLEM = toy_problem(ToySpace(3), 0.5)


def test_is_refused_where_no_strategy_trains():
    with pytest.raises(UsageError, match="the strategy trains no weights"):
        shared.build(ToyPriced(PROBLEM), ToyContext())


@pytest.mark.parametrize("name", plugins.names("strategies"))
def test_strategies_that_train_weights_bring_their_evaluator(name):
    cls = plugins.load("strategies", name)
    assert (build_strategy(cls, PROBLEM).evaluator is not None) == cls.trains_weights
