"""From a kit's results file to latency tables, checked line by line: a table that cannot be trusted is not written."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgenas.devices.manifest_check import MOST, check_entries, is_number
from edgenas.devices.runner import CONDITIONS, kit_hash
from edgenas.devices.table_check import check_header
from edgenas.errors import DamagedTable, NoisyMachine, TableError
from edgenas.latency.table import (
    LARGEST_MS,
    NANOSECOND_MS,
    LatencyTable,
    NetRow,
    OpRow,
    check_fields,
    hidden,
    net_of,
)
from edgenas.runtimes.base import Round
from edgenas.runtimes.summary import Timing, repeat_error_of_table, summarise_rounds
from edgenas.runtimes.timing import MIN_CLEAN_SHARE
from edgenas.system.records import Json, parsed_object
from edgenas.system.text_file import read_text

# Fewer rounds leave no repeat error to speak of: of six, three even ones stand against three odd ones.
FEWEST_ROUNDS = 6
# What the predictor itself promises; above, the rows say more of other programs than of the device.
WORST_REPEAT_ERROR = 0.1
LONGEST_LINE = 1 << 26  # characters: the first line holds the kit's manifest
# The number of the first probe of every kit.
REFERENCE = 0
# What a part of a table's path may be: it must not lead out of the folder of tables.
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


@dataclass
class Results:
    """What a results file holds: header, manifest, each probe's figure by round and probe, and errors by probe."""

    header: Json
    manifest: Json
    rounds: dict[int, dict[int, Round]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


def read_results(path: Path, manifest: Json | None = None) -> Results:
    """Read and check a results file.

    Args:
        path: the file that the kit's runner or page wrote.
        manifest: the kit's, where it is at hand; by default the one that the file holds.

    Raises:
        TableError: there is no such file, or it is of another kit, or of two devices.
        DamagedTable: it is damaged, or holds a figure that is none, with its line.
    """
    try:
        lines = read_text(path, LONGEST_LINE).split("\n")
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}); give the file that a kit wrote") from error
    except ValueError as error:
        raise DamagedTable(f"{path}: not results of a kit: {error}; or copy the file again") from error
    torn = lines[-1] != ""  # each line is written with its end, so that a power cut shows
    if not torn:
        lines.pop()
    results: Results | None = None
    for number, text in enumerate(lines, start=1):
        where = f"{path}: line {number}"
        line = _parsed(where, text, torn=torn and number == len(lines))
        if line is None:
            break
        if "kit" in line:
            results = _begun(where, line, results, manifest)
        elif results is None:
            raise DamagedTable(f"{where}: a results file begins with its header; copy it again")
        else:
            _add(where, line, results)
    if results is None or not results.rounds:
        raise DamagedTable(f"{path}: no results in it; let run.py come to its end")
    _warn_of_missing(path, results)
    return results


def _warn_of_missing(path: Path, results: Results) -> None:
    """Say that rounds, or probes in some, are missing: a file that was cut at the end of a line looks whole else."""
    planned = results.header.get("rounds", 0)  # files of earlier versions do not say it
    held = [frozenset(row) for row in results.rounds.values()]
    short = sum(any(row < other for other in held) for row in held)
    if isinstance(planned, int) and FEWEST_ROUNDS <= len(held) < planned:
        what = f"{len(held)} of {planned} rounds"
    elif short:
        what = f"{short} of {len(held)} rounds lack probes"
    else:
        return
    warnings.warn(f"{path}: {what}; it is cut off, or run.py was stopped", stacklevel=3)


def _parsed(where: str, text: str, torn: bool) -> Json | None:
    """Return a line's object; None for a last line that a power cut has torn."""
    try:
        return parsed_object(text)
    except ValueError as error:
        if torn:
            return None
        raise DamagedTable(f"{where}: not a line of results ({error}); copy the file again") from error


def _begun(where: str, line: Json, before: Results | None, manifest: Json | None) -> Results:
    """Read a header line: the first, or that of a file appended to it, which must be of the same device and kit."""
    try:
        found = Results(dict(line["header"]), dict(manifest or line["manifest"]))
        check_entries(where, found.manifest)
        spoiled = kit_hash(found.manifest) != found.manifest["kit"]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedTable(f"{where}: a header without {error}; pass the kit with --kit, or measure again") from error
    is_other = line["kit"] != found.manifest["kit"]
    if spoiled or (is_other and manifest is None):
        raise DamagedTable(f"{where}: the kit's manifest is not as it was made; copy the file, or the kit, again")
    if is_other:
        raise TableError(f"{where}: measured with another kit than this; ingest it with its own, by --kit")
    for name in ("device", "runtime"):  # parts of the table's path
        if not _NAME.fullmatch(str(found.header.get(name, ""))):
            raise DamagedTable(f"{where}: {name} {found.header.get(name)!r} is no name; measure again with another")
    if found.header.get("unit") != "ms":
        raise DamagedTable(f"{where}: unit is {found.header.get('unit')!r}, expected ms")
    check_fields(where, {name: str(value) for name, value in found.header.items()})
    if before is None:
        return found
    for name in ("kit", *CONDITIONS):
        if before.header.get(name) != found.header.get(name):
            raise TableError(
                f"{where}: {name} is {found.header.get(name)}, before it was {before.header.get(name)}: "
                "two measurements in one file; ingest them one by one"
            )
    return before


def _add(where: str, line: Json, results: Results) -> None:
    """Add the figure of one probe in one round."""
    try:
        probe, number = line["probe"], line["slot"]
        if not (isinstance(probe, int) and isinstance(number, int)):
            raise TypeError("probe and slot are whole numbers")
        in_kit = 0 <= probe < len(results.manifest["probes"])
        # A probe that does not run on the device is no fault of the file.
        if "error" in line:
            results.failed[probe] = str(line["error"])
            return
        ms, runs, share = line["ms"], line["runs"], line["clean_share"]
        if not all(map(is_number, (runs, share, 0 if ms is None else ms))):
            raise TypeError("its figures are not all numbers")
        in_range = ms is None or NANOSECOND_MS <= ms <= LARGEST_MS  # a nanosecond is the least that a table holds
        plausible = in_kit and 0 <= number and 0 < runs <= MOST and 0 <= share <= 1 and in_range
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedTable(f"{where}: not a round of a probe ({error}); measure again") from error
    if not plausible:
        raise DamagedTable(f"{where}: {dict(line)} is no plausible round (ms up to {LARGEST_MS:.0f}); measure again")
    row = results.rounds.setdefault(number, {})
    if probe in row:  # a runner that goes on measures nothing twice
        raise DamagedTable(f"{where}: probe {probe} has round {number} twice: two measurements in one file?")
    row[probe] = Round(math.nan if ms is None else float(ms), int(runs), float(share))


def tables(results: Results) -> list[LatencyTable]:
    """Make a table of each precision that was measured; its header says how well it predicts the kit's test networks.

    Raises:
        NoisyMachine: too few clean samples, or one row of ten repeats worse than 10 %; no table can be made.
        TableError: the measurement is not finished.
    """
    found = []
    for table, tests in fitted_and_tests(results):
        # Tests are not fitted on here, so that the header's word on them is honest; the written table holds them too.
        if (error := float(table.header["repeat_error"])) > WORST_REPEAT_ERROR:
            raise NoisyMachine(
                f"repeat error {error:.1%}, over {WORST_REPEAT_ERROR:.0%}: measure again on a quiet device, or "
                "more rounds, with run.py's --patience"
            )
        found.append(table.extended({}, tests, **check_header(table, tests)))
    return found


def fitted_and_tests(results: Results) -> list[tuple[LatencyTable, list[NetRow]]]:
    """Return for each precision the table of ops and of networks for the correction, and the networks that test it.

    Raises:
        NoisyMachine, TableError: as `tables`.
    """
    entries = results.manifest["probes"]
    measured = timings_of(results)
    precisions = sorted({entries[i]["precision"] for i in measured if entries[i]["kind"] in ("op", "net")})
    if len(results.rounds) < FEWEST_ROUNDS or not precisions:
        raise TableError(f"{len(results.rounds)} rounds of {len(measured)} probes: not finished; start run.py again")
    return [_table(results, measured, precision) for precision in precisions]


def timings_of(results: Results) -> dict[int, Timing]:
    """Return timings by number of the probe, of those that have one.

    Raises:
        NoisyMachine: too few clean samples.
    """
    timings = summarise_rounds([results.rounds[number] for number in sorted(results.rounds)], REFERENCE)
    share = float(np.mean([timing.clean_share for timing in timings.values()]))
    if share < MIN_CLEAN_SHARE:
        raise NoisyMachine(f"only {share:.0%} of the timing samples were clean; measure again on a quiet device")
    return {i: timing for i, timing in timings.items() if not math.isnan(timing.ms)}


def _table(results: Results, measured: Mapping[int, Timing], precision: str) -> tuple[LatencyTable, list[NetRow]]:
    of = _Measured(results.manifest["probes"], measured, precision)
    ops = {entry["id"]: of.op_row(entry, timing) for entry, timing in of.rows("op")}
    header = {name: str(value) for name, value in results.header.items()}
    repeat_error = repeat_error_of_table({str(i): timing for i, timing in of.timings.items()})
    header |= {"precision": precision, "repeat_error": f"{repeat_error:.4f}", "empty_call_ms": f"{of.empty_ms:.6f}"}
    if REFERENCE in measured:
        header["reference_ms"] = f"{measured[REFERENCE].ms:.6f}"
    return LatencyTable(header, ops, tuple(_nets(of.rows("net")))), list(_nets(of.rows("test")))


def _nets(rows: Iterable[tuple[Json, Timing]]) -> Iterable[NetRow]:
    for entry, timing in rows:
        spec, _, code = entry["id"].rpartition(" ")
        yield NetRow(spec, code, timing.ms, timing.p90_ms, timing.runs)


class _Measured:
    """The timings of one precision, and what op rows are net of."""

    def __init__(self, entries: Sequence[Json], measured: Mapping[int, Timing], precision: str) -> None:
        self.entries = entries
        self.timings = {i: timing for i, timing in measured.items() if entries[i]["precision"] == precision}
        empties = [timing.ms for _, timing in self.rows("empty")]
        if not empties:
            raise TableError(f"{precision}: the empty model was not measured; start run.py again")
        self.empty_ms = empties[0]
        self.pairs = {entry["id"]: timing.ms for entry, timing in self.rows("pair")}

    def rows(self, kind: str) -> Iterable[tuple[Json, Timing]]:
        """Return the manifest's entries of one kind, with their timings."""
        return [(self.entries[i], timing) for i, timing in self.timings.items() if self.entries[i]["kind"] == kind]

    def op_row(self, entry: Json, timing: Timing) -> OpRow:
        """Return an op's row, net of an empty call; in int8 also of quantising inputs and dequantising the output."""
        shapes = [shape for side in entry.get("pairs", ()) for shape in side] if self.pairs else []
        hidden_ms = hidden(self.empty_ms, [self.pairs[shape] for shape in shapes if shape in self.pairs])
        return net_of(hidden_ms, timing, entry["macs"], entry["params"], entry["bytes"])
