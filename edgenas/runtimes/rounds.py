"""One round of one session: samples that the clock can tell, counted only while nobody else used the core.

A *sample* is a batch of runs long enough for the clock; it is clean when nobody else used the core meanwhile. A *round*
is the median over a few milliseconds of clean samples. All times are monotonic; nothing here knows what a model is.

Standard library and numpy only, in Python 3.9's syntax: this file also runs on devices, without the rest of edgenas.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgenas.runtimes.base import Round

# One thread that is not interrupted is on its core all the time; 5 % is for the clocks' own error.
MAX_WALL_PER_CPU = 1.05
# A sample is at least 100 ticks of the clock, and long beside the 3 us that reading all gauges takes.
MIN_TICKS, MIN_SAMPLE_NS = 100, 200_000
# Below this resolution, the CPU clock of a thread tells a sample's length; some kernels count in steps of 10 ms.
FINE_CLOCK_S = 1e-5


@dataclass(frozen=True)
class Gauges:
    """What a sample is read from: monotonic wall time, CPU time of the same work, how often the core was taken away."""

    wall_ns: Callable[[], int]
    cpu_ns: Callable[[], int] | None
    switches: Callable[[], int]
    tick_ns: int


def gauges(threads: int = 1) -> Gauges:
    """Return the gauges that this platform offers for work on `threads` threads.

    CPU time is compared only for one thread: with more, the caller sleeps whenever another thread is the last to
    finish, so wall time rightly exceeds its CPU time. The involuntary switches of the whole process remain as the test.
    """
    fine_cpu_clock = (
        threads == 1
        and hasattr(time, "thread_time_ns")
        and time.get_clock_info("thread_time").resolution < FINE_CLOCK_S
    )
    return Gauges(
        wall_ns=time.perf_counter_ns,
        cpu_ns=time.thread_time_ns if fine_cpu_clock else None,
        switches=_switch_counter(threads),
        tick_ns=_tick_ns(time.perf_counter_ns),
    )


def _switch_counter(threads: int) -> Callable[[], int]:
    """Count involuntary context switches of this thread (Linux) or process; always 0 where nothing counts them."""
    try:
        import resource
    except ImportError:  # Windows
        return lambda: 0
    # Linux counts for each thread; elsewhere the whole process stands for the one thread that works.
    one_thread = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
    who = one_thread if threads == 1 else resource.RUSAGE_SELF
    return lambda: resource.getrusage(who).ru_nivcsw


def _tick_ns(clock: Callable[[], int]) -> int:
    """Measure the smallest step that the clock shows; the platform's own word on it is often far too good."""
    steps = []
    for _ in range(5):
        start = now = clock()
        while now == start:
            now = clock()
        steps.append(now - start)
    return min(steps)  # a longer step was interrupted


def timed_round(run: Callable[[], object], ms: float, using: Gauges) -> Round:
    """Time one round of at least one sample, and return the median of its clean samples.

    Args:
        run: runs the model once.
        ms: about how long the round lasts.
        using: what samples are read from.
    """
    batch = _runs_per_sample(run, using)
    now = using.wall_ns()
    end = now + ms * 1e6
    clean: list[int] = []
    every: list[int] = []
    while not every or now < end:
        spent_ns, busy_ns, is_clean = _sample(run, batch, using)
        every.append(min(spent_ns, busy_ns))
        if is_clean:
            clean.append(spent_ns)
        now = using.wall_ns()
    median_ms = float(np.median(clean)) / batch / 1e6 if clean else math.nan
    return Round(
        median_ms,
        runs=len(every) * batch,
        clean_share=len(clean) / len(every),
        disturbed_ms=float(np.median(every)) / batch / 1e6,
    )


def _runs_per_sample(run: Callable[[], object], using: Gauges) -> int:
    """Find how many runs the clock can tell from none. The search also brings the caches back to this model."""
    needed_ns = max(MIN_TICKS * using.tick_ns, MIN_SAMPLE_NS)
    batch = 1
    while (spent_ns := _wall_ns(run, batch, using)) < needed_ns:
        # At least doubled: a slow first run, with cold caches, makes the estimate too small.
        batch = max(2 * batch, math.ceil(batch * needed_ns / max(spent_ns, using.tick_ns)))
    return batch


def _wall_ns(run: Callable[[], object], batch: int, using: Gauges) -> int:
    """Return the wall time of `batch` runs in ns."""
    start = using.wall_ns()
    for _ in range(batch):
        run()
    return using.wall_ns() - start


def _sample(run: Callable[[], object], batch: int, using: Gauges) -> tuple[int, int, bool]:
    """Return wall time and CPU time of `batch` runs in ns, and whether the core was theirs alone.

    Where no clock tells the CPU time of the work it is the wall time.
    """
    switches = using.switches()
    # CPU time is read outside wall time, so that the reading itself never makes a clean sample look interrupted.
    cpu = using.cpu_ns() if using.cpu_ns else 0
    wall = _wall_ns(run, batch, using)
    busy = using.cpu_ns() - cpu if using.cpu_ns else wall
    return wall, busy, using.switches() == switches and wall < MAX_WALL_PER_CPU * busy
