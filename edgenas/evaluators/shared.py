"""Scores with the weights that the strategy trains while it searches: such a strategy brings its own evaluator."""

from __future__ import annotations

from edgenas.errors import UsageError
from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.strategy import Context, Priced


def build(priced: Priced, ctx: Context) -> Evaluator:
    """Refuse: a strategy that trains weights has its `evaluator`, and none is built for it.

    Raises:
        UsageError: always, as the strategy trains no weights where this is called.
    """
    raise UsageError("--evaluator shared: the strategy trains no weights; leave it out")
