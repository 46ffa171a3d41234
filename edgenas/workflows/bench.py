"""`edgenas bench`: ONNX files timed here, several in the same rounds, or the models of a bundle against its budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from edgenas.devices.timed_files import time_files
from edgenas.errors import NoisyMachine, UsageError
from edgenas.exporters.metadata import MODELS
from edgenas.exporters.remeasured import KeptBundle, read_kept, remeasured, write_latencies
from edgenas.runtimes.bench import Bench, bench_in_fresh_process
from edgenas.runtimes.decide import keeps
from edgenas.runtimes.host import host_name
from edgenas.system.file_index import check
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import CONFIG, RunFolder, read_artefact, write_artefact
from edgenas.workflows.context import waiting_for
from edgenas.workflows.kept_table import read_kept_table
from edgenas.workflows.moved import check_same
from edgenas.workflows.result import Result

RESULT, TABLE = "result", "table.csv"  # an artefact, and a file


def bench(
    models: Sequence[Path],
    *,
    threads: int = 1,
    runtime: str = "onnxruntime",
    seconds: float = 3.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Bench]:
    """Time ONNX files in a process of their own, in the same rounds, so that their ratios hold.

    Args:
        models: files that anybody made.
        threads: of the runtime.
        runtime: name of a runtime.
        seconds: of measuring, per file.
        progress: called with what is done, and of how much.

    Raises:
        DataError: a file is not a single-file ONNX model that the runtime can load and run.
        UnknownName: there is no such runtime.
        NoisyMachine: too few clean samples.
    """
    return bench_in_fresh_process(models, threads=threads, runtime=runtime, seconds=seconds, progress=progress)


def bench_bundle(
    folder: Path,
    reporter: Reporter,
    *,
    seconds: float = 3.0,
    wait_minutes: float = 2.0,
    said: Mapping[str, object] = MappingProxyType({}),
) -> list[Bench]:
    """Time the models of a bundle as its manifest says, and write what was found into result, card and manifest.

    The model that the budget is for comes back with `met_budget`.

    Args:
        folder: a bundle: the run folder of a search, or a copy of its files.
        reporter: who is told of the measurement.
        seconds: of measuring, per file.
        wait_minutes: how long a busy machine is waited for.
        said: `threads` and `runtime` that must be the manifest's.

    Raises:
        DataError: it is no whole bundle.
        OwnCode: its runtime is not of edgenas, and nobody has named it.
        DamagedRun: a file that is to change, or that decides, is not as the run wrote it.
        UsageError: it is for another device, or a run is under way in it.
        NoisyMachine: the machine stays too busy to tell; nothing is written.
    """
    bundle = read_kept(folder)
    if bundle.device != host_name():
        raise UsageError(
            f"{folder}: its latency counts on {bundle.device}, this is {host_name()}; measure there, or give the file "
            f"{folder / bundle.default} alone"
        )
    for name, value in said.items():
        check_same(str(folder), name, getattr(bundle, name), value, "give a file of it")
    if not (folder / CONFIG).exists():  # a copy of some files, perhaps with the index of all of them
        return _remeasure(bundle, reporter, seconds, wait_minutes)
    with RunFolder(folder, resume=True):
        for name in (TABLE, f"{RESULT}.json"):
            check(folder / name)
        return _remeasure(bundle, reporter, seconds, wait_minutes)


def _remeasure(bundle: KeptBundle, reporter: Reporter, seconds: float, wait_minutes: float) -> list[Bench]:
    folder = bundle.folder
    before = read_artefact(folder, RESULT, Result) if (folder / f"{RESULT}.json").exists() else None
    # A copy of the files alone does not say which precision the budget is for.
    judged = bundle.default if before is None else MODELS["int8" if before.precision == "int8" else "fp32"]
    table = folder / TABLE
    quiet_ms = read_kept_table(table).reference_ms if table.exists() else math.inf
    with reporter.stage("time " + ", ".join(bundle.models)) as progress:
        benches = time_files(
            [folder / name for name in bundle.models],
            threads=bundle.threads,
            runtime=bundle.runtime,
            seconds=seconds,
            quiet_ms=quiet_ms,
            waiting=waiting_for(wait_minutes, reporter),
            progress=progress,
        )
    found = {row.model: row for row in benches}
    of_budget = found[judged]
    is_met = None
    if bundle.budget_ms is not None:
        slowed = of_budget.reference_ms / quiet_ms
        is_met = keeps(of_budget.ms, of_budget.repeat_error, bundle.budget_ms, clean=of_budget.clean, slowed=slowed)
    if (is_met is None and bundle.budget_ms is not None) or not all(row.clean for row in benches):
        raise NoisyMachine(
            f"{folder}: the machine is too busy to tell whether the budget is met ({of_budget.ms:.3f} ms, repeat error "
            f"{of_budget.repeat_error:.1%}); nothing is written, close other programs and measure again"
        )
    figures = {name: remeasured(bundle.models[name], b.ms, b.p90_ms, b.repeat_error) for name, b in found.items()}
    if before is not None:
        write_artefact(folder, RESULT, _with(before, of_budget, found.get(MODELS["int8"]), is_met))
    write_latencies(bundle, figures, of_budget.version, is_met)
    return [replace(row, met_budget=is_met) if row.model == judged else row for row in benches]


def _with(before: Result, row: Bench, int8: Bench | None, is_met: bool | None) -> Result:
    """Return the result with what was measured."""
    return replace(
        before,
        met_budget=is_met,
        measured_ms=row.ms,
        measured_p90_ms=row.p90_ms,
        repeat_error=row.repeat_error,
        int8_measured_ms=before.int8_measured_ms if int8 is None else int8.ms,
        measurement="clean",
    )
