"""`edgenas ingest --bundle`: what a kit measured of a run's finalists decides what the run delivers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgenas.devices.confirm import finalist_timings
from edgenas.devices.ingest import read_results
from edgenas.devices.kit import read_manifest
from edgenas.errors import UsageError
from edgenas.system.file_index import forget
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import RunFolder, is_run, write_artefact
from edgenas.workflows.given import Given
from edgenas.workflows.kept_table import read_kept_table
from edgenas.workflows.result import Result
from edgenas.workflows.search import search
from edgenas.workflows.source_run import SOURCE, reopened
from edgenas.workflows.specialize import specialize
from edgenas.workflows.stages.artefacts import CONFIRMED, Confirmed, Figure


def confirm(
    results: Path,
    run_folder: Path,
    reporter: Reporter,
    *,
    kit: Path | None = None,
    given: Given | None = None,
    moved: Mapping[str, Any] = MappingProxyType({}),
) -> Result:
    """Take what a kit measured of a run's finalists on its device, and deliver by it.

    Args:
        results: what the kit wrote on the device.
        run_folder: of the run whose finalists they are.
        reporter: who is told of stages and notices.
        kit: the kit, to check that nothing of it was changed.
        given: objects that stand for names of the configuration.
        moved: settings that may have changed since, as `moved_settings` takes them.

    Raises:
        TableError: the results cannot be trusted, or are of other models, another device or runtime.
        NoisyMachine: a figure repeats too badly; measure again.
        UsageError: the folder holds no run, one that was for this machine, or one that is under way.
    """
    if not is_run(run_folder):
        raise UsageError(f"--bundle {run_folder}: there is no run of a search")
    config = reopened(run_folder, moved)  # it raises for a run of another format, before anything is read or written
    found = read_results(results, read_manifest(kit) if kit else None)
    if config.device is None:
        raise UsageError(f"{run_folder}: searched for this machine, where its models were measured already")
    timings = finalist_timings(found, run_folder, read_kept_table(run_folder / "table.csv"))
    # From here on, the run is one that was interrupted before its choice: resuming it ends it by these figures.
    with RunFolder(run_folder, resume=True):
        _keep(run_folder, timings)
    if (run_folder / SOURCE).is_dir():
        return specialize(config, None, reporter, given=given)
    return search(config, reporter, given=given)


def _keep(folder: Path, timings: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Keep what the device measured, by number of finalist and precision, and remove the result without it."""
    # An artefact that is there is read, not made. What the test split said stays: it is opened once.
    for name in ("result", "report"):
        forget(folder / f"{name}.json")
    finalists = {
        number: {
            precision: Figure(row["ms"], row["p90_ms"], row["repeat_error"], int(row["threads"]))
            for precision, row in rows.items()
        }
        for number, rows in timings.items()
    }
    write_artefact(folder, CONFIRMED, Confirmed(finalists))
