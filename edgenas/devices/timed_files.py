"""Time model files on this machine, in a process of their own, when it is quiet or as quiet as it gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from edgenas.devices.quietest import quietest
from edgenas.errors import NoisyMachine
from edgenas.runtimes.bench import Bench, bench_in_fresh_process
from edgenas.runtimes.decide import SLOWER_BY
from edgenas.runtimes.waiting import Waiting


def time_files(
    paths: Sequence[Path],
    *,
    threads: int,
    runtime: str,
    seconds: float,
    quiet_ms: float,
    waiting: Waiting,
    progress: Callable[[int, int], None] | None = None,
) -> list[Bench]:
    """Time files in a fresh process; again, while the reference says that a neighbour has the machine.

    Where no sample is clean, gaps are waited for, and at last disturbed samples count: those are not `clean`.

    Args:
        paths: ONNX files.
        threads, runtime: conditions.
        seconds: of measuring, per file.
        quiet_ms: the reference's time on this machine at its best; infinite if that is not known.
        waiting: how long gaps are waited for.
        progress: called with what is done, and of how much.
    """
    bench = partial(bench_in_fresh_process, paths, threads=threads, runtime=runtime, seconds=seconds, progress=progress)

    def run() -> list[Bench]:
        try:
            return bench(attempts=1)
        except NoisyMachine as error:
            with waiting.turn(str(error)) as wait_s:
                timings = bench(wait_s=wait_s)
        if not all(timing.clean for timing in timings):
            waiting.in_vain()
        return timings

    def slowed(timings: Sequence[Bench]) -> float:
        if not all(timing.clean for timing in timings):
            return math.inf
        # A file that repeated badly was timed again, with a reference of its own: the slowest of them decides.
        return max(timing.reference_ms for timing in timings) / quiet_ms

    def is_good(timings: Sequence[Bench]) -> bool:
        return slowed(timings) <= SLOWER_BY

    return quietest(run, slowed, is_good, waiting=waiting)
