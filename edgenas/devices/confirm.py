"""Confirm a search for a device that was not at hand: its finalists as probes of a kit, and what the kit measured."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from edgenas.devices.ingest import REFERENCE, Results, timings_of
from edgenas.devices.probes import Probe, reference_probe
from edgenas.errors import NoisyMachine, TableError, UsageError
from edgenas.latency.table import LatencyTable
from edgenas.runtimes.decide import SLOWER_BY
from edgenas.runtimes.summary import MAX_REPEAT_ERROR, Timing
from edgenas.system.records import Json

KIND = "finalist"
# A reference so much faster than in the device's table is another device's, or the table was measured on a busy one.
FASTER_BY = 1.25
# Rounds of each finalist, ten times as many as of a table's rows, and no fewer than of these: these few figures decide.
FEWEST_ROUNDS, ROUNDS = 24, 240
# What must be as in the table of the search. The device's name is not: it may be anybody's choice.
CONDITIONS = ("processor", "runtime", "threads")


def finalist_probes(run_folder: Path) -> Iterator[Probe]:
    """Yield the reference, then each exported finalist; `id` is its number.

    Raises:
        UsageError: none is exported.
    """
    models = _models(run_folder)
    if not models:
        raise UsageError(f"{run_folder}: no finalist is exported there; let `edgenas search` come to its end")
    yield reference_probe()
    for (number, precision), path in models.items():
        yield Probe(KIND, number, precision, path.read_bytes(), {})


def finalist_timings(results: Results, run_folder: Path, table: LatencyTable) -> dict[str, dict[str, Json]]:
    """Return the fields of each finalist's `Timing`, and its threads, by its number and precision.

    Args:
        results: what a kit of finalists measured.
        run_folder: of the search, with the exported finalists.
        table: of the device, as the search used it.

    Raises:
        TableError: they are of other models, or measured under other conditions than the table.
        NoisyMachine: a figure repeats worse than 4 %, or the device is slower than when its table was measured.
    """
    if not results.manifest.get("bundle"):
        raise TableError("these are not results of a kit of finalists, which `edgenas kit --bundle` makes")
    if len(results.rounds) < FEWEST_ROUNDS:
        raise TableError(
            f"{len(results.rounds)} rounds of each, at least {FEWEST_ROUNDS}: not finished; start run.py again"
        )
    for condition in CONDITIONS:
        found, wanted = str(results.header.get(condition, "")), table.header.get(condition, "")
        if found and wanted and found != wanted:
            raise TableError(f"measured with {condition} {found}, the search was for {wanted}; measure on its device")
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in _models(run_folder).items()}
    rows: dict[str, dict[str, Json]] = {}
    timings = timings_of(results)
    _check_speed(timings, table)
    for i, timing in timings.items():
        entry = results.manifest["probes"][i]
        if entry["kind"] != KIND:
            continue
        name = entry["id"], entry["precision"]
        # What is left of `hashes` in the end was not measured.
        if hashes.pop(name, None) != entry["sha256"]:
            raise TableError(f"finalist {name[0]}, {name[1]}: the measured model is not that of {run_folder}")
        if not timing.repeat_error <= MAX_REPEAT_ERROR:
            raise NoisyMachine(f"finalist {name[0]}: repeat error {timing.repeat_error:.1%}; measure again when quiet")
        rows.setdefault(name[0], {})[name[1]] = {**asdict(timing), "threads": int(results.header["threads"])}
    missing = [number for number, precision in hashes if precision == table.header["precision"]]
    if missing:
        why = "; ".join(dict.fromkeys(results.failed.values())) or "let run.py come to its end"
        raise TableError(f"finalist {missing[0]} has no {table.header['precision']} figure: {why}")
    return rows


def _check_speed(timings: Mapping[int, Timing], table: LatencyTable) -> None:
    """Raise NoisyMachine unless the reference op says that this is the device of the table, at the same speed."""
    if REFERENCE not in timings or not math.isfinite(table.reference_ms):
        return
    ms, before_ms = timings[REFERENCE].ms, table.reference_ms
    if ms > SLOWER_BY * before_ms or before_ms > FASTER_BY * ms:
        raise NoisyMachine(
            f"the reference op takes {ms:.3g} ms, {before_ms:.3g} when the device's table was measured: measure again "
            "when the device is cool and quiet, or measure its table again"
        )


def _models(run_folder: Path) -> dict[tuple[str, str], Path]:
    """Return the exported finalists by number and precision."""
    models = {}
    for path in sorted(run_folder.glob("finalist-*.onnx")):
        # `finalist-3.int8.onnx` has a suffix before the last one, `finalist-3.onnx` has none.
        number, *suffix = path.name.removeprefix("finalist-").removesuffix(".onnx").split(".")
        models[number, "int8" if suffix else "fp32"] = path
    return models
