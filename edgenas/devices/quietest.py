"""A measurement, taken again while the machine is slower than it was: the run with the fastest reference counts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from edgenas.runtimes.waiting import Waiting

# How often a run is taken again on a machine that is not quiet, and the pause before.
TRIES, PAUSE_S = 3, 2.0
# So much slower than at its best a machine is waited for: networks lose more than the reference, and not all alike.
SLOW = 1.15
GAP_S = 10.0  # between two looks at it

T = TypeVar("T")


def quietest(
    run: Callable[[], T],
    slowed: Callable[[T], float],
    is_good: Callable[[T], bool],
    *,
    tries: int = TRIES,
    waiting: Waiting | None = None,
) -> T:
    """Return the first good run, or that of the least slowed machine.

    Args:
        run: measures once.
        slowed: how much slower than at its best the machine was; infinite for a run of disturbed samples, which was
            waited for in vain, as the next one would be.
        is_good: whether nothing better is to be had.
        tries: how many runs are taken at most, one after another.
        waiting: how long a machine is waited for that was slow in all of them; None waits for none.
    """
    found: list[T] = []

    def is_over(slow: float = 0.0) -> bool:
        found.append(run())
        return is_good(found[-1]) or slowed(found[-1]) <= slow or math.isinf(slowed(found[-1]))

    for number in range(tries):
        if number:
            time.sleep(PAUSE_S)
        if is_over():
            break
    least = min(map(slowed, found))
    if waiting is not None and SLOW < least < math.inf and math.isfinite(slowed(found[-1])):
        with waiting.turn(f"it takes {least:.2f} times as long as at its best") as seconds:
            until = waiting.clock() + seconds
            while waiting.clock() < until:
                waiting.sleep(GAP_S)
                if is_over(SLOW):
                    break
    # The reference tells how quiet the machine was; to pick runs by their own figures would pick the luckiest.
    return found[-1] if is_good(found[-1]) else min(found, key=slowed)
