"""Whether a measured latency keeps a budget, or the machine was too busy to tell."""

from __future__ import annotations

from edgenas.runtimes.summary import MAX_REPEAT_ERROR

# A reference so much slower than at its best says that another program has the machine, and that figures are its.
SLOWER_BY = 1.08
APART = 0.03  # two measurements of one network on a quiet machine differ by as much


def met(ms: float, repeat_error: float, budget_ms: float) -> bool:
    """Tell whether a measured latency keeps the budget, its repeat error counted against it.

    Args:
        ms: measured latency.
        repeat_error: its relative error, 0.04 for 4 %.
        budget_ms: the most that is allowed.

    >>> met(19.0, 0.04, budget_ms=20.0), met(19.5, 0.04, budget_ms=20.0)
    (True, False)
    """
    return ms * (1 + repeat_error) <= budget_ms


def keeps(ms: float, repeat_error: float, budget_ms: float, *, clean: bool = True, slowed: float = 1.0) -> bool | None:
    """Tell whether a measured latency keeps a budget; None where the measurement cannot tell.

    Other programs make a figure larger: one that keeps the budget beside them does so without them. One that misses it
    has missed it for certain only if the machine was quiet, or the low end of what it may be is above the budget too.
    Networks lose more to a neighbour than the reference does: where that took 1.38 times as long, they took 1.8 times.

    Args:
        ms: measured latency.
        repeat_error: its relative error, 0.04 for 4 %.
        budget_ms: the most that is allowed.
        clean: whether it is of clean samples; what is not keeps no budget.
        slowed: how much slower than at its best the reference was meanwhile.

    >>> keeps(19.0, 0.04, 20.0), keeps(20.5, 0.04, 20.0), keeps(20.5, 0.09, 20.0), keeps(19.0, 0.04, 20.0, clean=False)
    (True, False, None, None)
    """
    if clean and met(ms, repeat_error, budget_ms):
        return True
    is_sure = clean and repeat_error <= MAX_REPEAT_ERROR and slowed <= SLOWER_BY
    return False if is_sure or _low_ms(ms, repeat_error, slowed) > budget_ms else None


def may_keep(ms: float, repeat_error: float, budget_ms: float, slowed: float) -> bool:
    """Tell whether a figure that misses a budget may keep it a minute later.

    Args:
        ms, repeat_error, budget_ms, slowed: as of `keeps`.

    >>> may_keep(20.5, 0.01, 20.0, slowed=1.0), may_keep(22.0, 0.01, 20.0, slowed=1.0), may_keep(22.0, 0.01, 20.0, 1.05)
    (True, False, True)
    """
    return _low_ms(ms, repeat_error, slowed) <= (1 + APART) * budget_ms


def _low_ms(ms: float, repeat_error: float, slowed: float) -> float:
    """The low end of what a network takes without other programs."""
    return ms * (1 - min(1.0, repeat_error)) / max(1.0, slowed) ** 2
