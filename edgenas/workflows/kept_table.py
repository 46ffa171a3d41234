"""Latency tables in a run's folder: a resumed run sees the same latencies, whatever the caches have become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgenas.latency.table import LatencyTable, read_table, write_table
from edgenas.system import distributed
from edgenas.system.file_index import State, check, note, state_of


def read_kept_table(path: Path) -> LatencyTable:
    """Return a table that a run has written.

    Raises:
        DamagedRun: it is not as it was written, or is gone.
        DamagedTable: it was never there.
    """
    check(path)
    return read_table(path)


def keep_table(path: Path, make: Callable[[], LatencyTable]) -> None:
    """Write a table unless the run has it already, by the first process alone."""

    def write() -> None:
        if state_of(path) is State.NEW:
            write_table(path, make())
            note(path)

    distributed.first(write)
