"""Figures that were recorded for whole architectures."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.cost.lookup import LookupCost
from edgenas.errors import UsageError
from tests._toys import Cell, all_archs

SPACE = Cell()
ARCHS = all_archs(SPACE)
COST = LookupCost("latency_ms@phone", ARCHS[:-1], np.arange(len(ARCHS) - 1) / 2)


def test_one_and_many_are_what_was_recorded():
    assert COST(SPACE.graph(ARCHS[3])) == 1.5
    assert COST.many(SPACE, ARCHS[4:2:-1]).tolist() == [2.0, 1.5]
    assert COST.many(SPACE, []).shape == (0,)


def test_what_was_not_recorded_is_refused_and_named():
    for use in (lambda: COST(SPACE.graph(ARCHS[-1])), lambda: COST.many(SPACE, ARCHS[-2:])):
        with pytest.raises(UsageError, match="latency_ms@phone: nothing is recorded for .*; there are 63 others"):
            use()
