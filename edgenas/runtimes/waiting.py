"""How long a run waits for a busy machine: a limit for each measurement, one for all, and a line that says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgenas.system.text import duration

# Two measurements that wait in vain say that the machine stays busy: from then on, waiting would only cost time.
TURNS = 2


class Waiting:
    """What measurements of one run may wait, in all; those that know it never give up."""

    def __init__(
        self,
        each_s: float,
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin with nothing waited yet.

        Args:
            each_s: the longest that one measurement waits, in seconds; all of them together wait twice as long.
            say: is told when a measurement begins to wait, and when it waited in vain.
            clock: in seconds.
            sleep: pauses for seconds.
        """
        self.each_s, self.left_s = each_s, TURNS * each_s
        self.clock, self.sleep, self._say = clock, sleep, say
        self._told = False
        self._under_way = False

    @contextmanager
    def turn(self, why: str) -> Iterator[float]:
        """Count the time inside as waited; give the seconds that the measurement may wait, which may be 0.

        A turn inside another counts nothing by itself.

        Args:
            why: what was found of the machine.
        """
        seconds = min(self.each_s, self.left_s)
        if self._under_way:
            yield seconds
            return
        if seconds > 0:
            self._say(f"the machine is busy ({why}): measuring in its gaps, for {duration(seconds)} at most")
        begun, self._under_way = self.clock(), True
        try:
            yield seconds
        finally:
            self._under_way = False
            self.left_s = max(0.0, self.left_s - (self.clock() - begun))

    def in_vain(self) -> None:
        """Say, once in a run, that figures of disturbed samples are used."""
        if not self._told:
            self._say(
                "the machine stays busy: going on with disturbed samples; intervals are wider, and nothing is cached"
            )
        self._told = True


def no_waiting() -> Waiting:
    """Return one that waits for nothing, and says nothing."""
    return Waiting(0.0, lambda text: None)
