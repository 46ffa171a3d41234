"""Latency tables: what was measured on one device, with one runtime, thread count and precision, as one CSV file.

`# name: value` header lines, then `kind,key,ms,p90_ms,runs,macs,params,bytes` rows: `op` rows price one fused kernel,
net of the time of an empty session; `net` rows are whole networks, `<space spec> <architecture code>`.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgenas.errors import DamagedTable, EnvironmentFault, TableError
from edgenas.runtimes.summary import Timing
from edgenas.system.file_index import write_atomically
from edgenas.system.text_file import text_of

COLUMNS = ("kind", "key", "ms", "p90_ms", "runs", "macs", "params", "bytes")
REQUIRED = ("unit", "device", "runtime", "threads", "precision")
# Numbers in a header, from zero on; a table need not have them.
FIGURES = ("repeat_error", "reference_ms", "adapted_margin", "unclean_margin", "empty_call_ms")
MAY_BE_INFINITE = ("repeat_error", "reference_ms")  # where there were too few rounds to tell
ROWS = "rows"  # of the header: how many there are, so that a file that was cut off is known
# A larger figure is a slip of units, or of a damaged file.
LARGEST_MS = 60_000.0
# Of a space, as its `spec` has it: name, shape, classes.
_SPEC = re.compile(r"\S+ \d{1,6}x\d{1,6}x\d{1,6} \d{1,6}", re.ASCII)
_THREADS = re.compile(r"[1-9]\d{0,4}", re.ASCII)
NANOSECOND_MS = 1e-6  # the least that a table's figures tell apart
# The price of an op that an empty session hides: never free.
LEAST_MS = 1e-4


@dataclass(frozen=True)
class OpRow:
    """One kernel: its time, and its counts by fvcore."""

    ms: float
    p90_ms: float
    runs: int
    macs: float
    params: float
    bytes: float


@dataclass(frozen=True)
class NetRow:
    """One whole network: `spec` rebuilds its space, `code` its architecture."""

    spec: str
    code: str
    ms: float
    p90_ms: float
    runs: int


@dataclass(frozen=True)
class LatencyTable:
    """What was measured on one device: header, op rows by key, whole networks.

    >>> header = {"unit": "ms", "device": "pi5", "runtime": "onnxruntime", "threads": "1", "precision": "fp32"}
    >>> table = LatencyTable(header, {"add | 8x7x7": OpRow(0.01, 0.012, 900, 392, 0, 4704)})
    >>> table.device, table.ops["add | 8x7x7"].ms, table.reference_ms
    ('pi5', 0.01, inf)
    """

    header: Mapping[str, str]
    ops: Mapping[str, OpRow] = field(default_factory=dict)
    nets: tuple[NetRow, ...] = ()

    @property
    def device(self) -> str:
        """Return the name of the device it was measured on."""
        return self.header["device"]

    @property
    def reference_ms(self) -> float:
        """Return the reference op's time on that device at its quietest; infinite in tables that do not tell."""
        return float(self.header.get("reference_ms", math.inf))

    @property
    def adapted_margin(self) -> float:
        """Return the relative margin of latencies predicted from other devices' tables; 0 for a measured table."""
        return float(self.header.get("adapted_margin", 0.0))

    @property
    def unclean_margin(self) -> float:
        """Return the relative margin of figures that were measured beside other programs; 0 for clean ones."""
        return float(self.header.get("unclean_margin", 0.0))

    def extended(self, ops: Mapping[str, OpRow], nets: Iterable[NetRow], **header: str) -> LatencyTable:
        """Return a table with more rows and header fields; a row measured again replaces the old one.

        Args:
            ops: rows by op key.
            nets: rows of whole networks.
            header: fields by name.
        """
        # Later rows win, in the place of the earlier ones.
        by_name = {(net.spec, net.code): net for net in (*self.nets, *nets)}
        return replace(self, header={**self.header, **header}, ops={**self.ops, **ops}, nets=tuple(by_name.values()))

    def check_matches(self, **conditions: str | int) -> None:
        """Check that the table was measured under these conditions (names and values of its header).

        Raises:
            TableError: a value differs.
        """
        for name, wanted in ((name, str(value)) for name, value in conditions.items()):
            if self.header[name] != wanted:
                raise TableError(
                    f"table of {self.device}: measured with {name} {self.header[name]}, the run wants {wanted}; "
                    "profile under the run's conditions, or change the run's"
                )


def hidden(empty_ms: float, pairs_ms: Iterable[float]) -> float:
    """Return what an op's model takes beside the op: an empty call, and in int8 the pairs of its shapes.

    A pair quantises and dequantises one shape, and holds an empty call too; half of the rest counts for either.

    Args:
        empty_ms: the time of an empty call.
        pairs_ms: the time of a pair for each shape that the op reads or writes.
    """
    return empty_ms + sum(0.5 * max(0.0, ms - empty_ms) for ms in pairs_ms)


def net_of(hidden_ms: float, timing: Timing, *counts: float) -> OpRow:
    """Return the row of an op.

    Args:
        hidden_ms: what was timed with it, see `hidden`.
        timing: of the op's model.
        counts: macs, params and bytes of the op.
    """
    ms, p90_ms = (max(LEAST_MS, figure - hidden_ms) for figure in (timing.ms, timing.p90_ms))
    return OpRow(ms, p90_ms, timing.runs, *counts)


def read_table(path: Path) -> LatencyTable:
    """Read and check a table.

    Raises:
        TableError: there is no such file.
        DamagedTable: unit missing or not ms, a number that is no plausible time or none at all, in the header or in a
            row, a row twice, with line and key.

    >>> from edgenas.latency.registry import shipped_tables
    >>> table = read_table(shipped_tables() / "amd-epyc-zen4" / "onnxruntime-1t-fp32.csv")
    >>> table.device, len(table.ops)
    ('amd-epyc-zen4', 372)
    """
    try:
        return _parsed(path, path.read_bytes())
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}); give the file of a latency table") from error


def write_table(path: Path, table: LatencyTable) -> None:
    """Write atomically: a reader sees the old file or the new one, and none that cannot be read back.

    Raises:
        DamagedTable: a name or a value is of no table.
        UsageError: something stands there that is no file.
        EnvironmentFault: the file cannot be written.
    """
    check_fields(str(path), table.header)
    content = _content(table)
    _parsed(path, content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise EnvironmentFault(f"{path}: cannot write the latency table ({error})") from error


def check_fields(where: str, header: Mapping[str, str]) -> None:
    """Check that a header can be written: names and values in one line each, and the numbers among them in range.

    Args:
        where: the file, for the message.
        header: texts by name.

    Raises:
        DamagedTable: a field cannot; it is named.
    """
    for name, value in header.items():
        if not f"{name}{value}".isprintable():
            raise DamagedTable(f"{where}: the header's {name!r} is {value!r}, which is no line of text")
    _check_numbers(where, header)


def _check_numbers(where: str, header: Mapping[str, str]) -> None:
    if not _THREADS.fullmatch(threads := header.get("threads", "")):
        raise DamagedTable(f"{where}: threads: {threads!r} is no number of threads; measure again")
    for name in FIGURES:
        if name in header and not (name in MAY_BE_INFINITE and header[name] == "inf"):
            _count(f"{where}: {name}", header[name])


def _content(table: LatencyTable) -> bytes:
    file = io.StringIO()
    for name, value in {**table.header, ROWS: f"{len(table.ops) + len(table.nets)}"}.items():
        file.write(f"# {name}: {value}\n")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    # Times end at the nanosecond: LEAST_MS, the smallest there is, keeps three digits.
    for key, op in table.ops.items():
        counts = (f"{count:.0f}" for count in (op.macs, op.params, op.bytes))
        writer.writerow(("op", key, f"{op.ms:.6f}", f"{op.p90_ms:.6f}", op.runs, *counts))
    for net in table.nets:
        key = f"{net.spec} {net.code}"
        writer.writerow(("net", key, f"{net.ms:.6f}", f"{net.p90_ms:.6f}", net.runs, "", "", ""))
    return file.getvalue().encode()


def _parsed(path: Path, content: bytes) -> LatencyTable:
    try:
        lines = text_of(content).splitlines()
    except ValueError as error:
        raise DamagedTable(f"{path}: not a latency table: {error}; or measure again with `edgenas profile`") from error
    header = {}
    for line in lines:
        if not line.startswith("#"):
            break
        name, _, value = line[1:].partition(":")
        header[name.strip()] = value.strip()
    for name in REQUIRED:
        if not header.get(name):
            raise DamagedTable(f"{path}: the header has no {name!r}; measure again with `edgenas profile`")
    if header["unit"] != "ms":
        raise DamagedTable(f"{path}: unit is {header['unit']!r}, expected ms; convert the rows and the header")
    _check_numbers(str(path), header)
    ops: dict[str, OpRow] = {}
    nets: dict[tuple[str, str], NetRow] = {}
    reader = csv.reader(lines[len(header) :])
    if tuple(next(reader, ())) != COLUMNS:
        raise DamagedTable(f"{path}: line {len(header) + 1} must name the columns {','.join(COLUMNS)}")
    try:
        for number, cells in enumerate(reader, start=len(header) + 2):
            _read_row(f"{path}: line {number}", cells, ops, nets)
    except csv.Error as error:
        raise DamagedTable(f"{path}: line {len(header) + reader.line_num}: {error}") from error
    found = len(ops) + len(nets)
    if ROWS in header and _count(f"{path}: {ROWS}", header.pop(ROWS)) != found:
        raise DamagedTable(f"{path}: {found} rows, and its header tells of another number: copy the whole file again")
    return LatencyTable(header, ops, tuple(nets.values()))


def _read_row(where: str, cells: list[str], ops: dict[str, OpRow], nets: dict[tuple[str, str], NetRow]) -> None:
    if len(cells) != len(COLUMNS):
        raise DamagedTable(f"{where}: {len(cells)} cells, expected {len(COLUMNS)}")
    kind, key = cells[:2]
    where = f"{where}, {key!r}"
    ms, p90_ms = (_milliseconds(where, cell) for cell in cells[2:4])
    runs = int(_count(where, cells[4]))
    if kind == "op":
        if key in ops:
            raise DamagedTable(f"{where}: the row stands twice; keep one")
        ops[key] = OpRow(ms, p90_ms, runs, *(_count(where, cell) for cell in cells[5:8]))
    elif kind == "net":
        # A spec has spaces in it, a code has none.
        spec, _, code = key.rpartition(" ")
        if not _SPEC.fullmatch(spec):
            raise DamagedTable(f"{where}: a net is named by its space and its architecture's code")
        if (spec, code) in nets:
            raise DamagedTable(f"{where}: the row stands twice; keep one")
        nets[spec, code] = NetRow(spec, code, ms, p90_ms, runs)
    else:
        raise DamagedTable(f"{where}: a row is an op or a net, not {kind!r}")


def _milliseconds(where: str, cell: str) -> float:
    value = _number(where, cell)
    if not 0 < value <= LARGEST_MS:
        raise DamagedTable(f"{where}: {cell} ms is not a latency between 0 and {LARGEST_MS:.0f} ms")
    return value


def _count(where: str, cell: str) -> float:
    value = _number(where, cell)
    if value < 0:
        raise DamagedTable(f"{where}: {cell} is not a count")
    return value


def _number(where: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    # Python reads 1_000 as a number, which no other reader of the file does.
    if not math.isfinite(value) or "_" in cell:
        raise DamagedTable(f"{where}: {cell!r} is not a number")
    return value
