"""The contract tests, shipped: what a strategy, a space, an evaluator or a data set of one's own must keep.

Each function runs in some seconds, needs no test runner, and raises AssertionError with a sentence about what is wrong.
Under pytest:

    def test_my_strategy():
        edgenas.testing.strategy_contract(MyStrategy)
"""

from __future__ import annotations

from edgenas.testing.data import data_contract
from edgenas.testing.evaluators import evaluator_contract
from edgenas.testing.spaces import space_contract
from edgenas.testing.strategies import strategy_contract
from edgenas.testing.tiny import Tiny

__all__ = ["Tiny", "data_contract", "evaluator_contract", "space_contract", "strategy_contract"]
