"""Latency tables by the device's name: those that come with edgenas, and those that were measured here."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from edgenas import plugins
from edgenas.cost.table import LatencyTable, read_table
from edgenas.errors import EdgeNASError, UnknownName
from edgenas.profiling.host import cached_table_path


def table_files() -> list[Path]:
    """Every table there is, `<device>/<conditions>.csv`, shipped ones first."""
    package = Path(plugins.__file__).parent
    shipped = next((f for f in (package / "latency_tables", package.parent / "latency_tables") if f.is_dir()), package)
    roots = (shipped, cached_table_path("onnxruntime", 1).parents[1])
    return [file for root in roots for file in sorted(root.glob("*/*.csv"))]


def device_table(device: str, *, runtime: str, threads: int, precision: str = "fp32") -> LatencyTable:
    """The table of a device under these conditions; of several the one with most ops.

    Raises:
        UnknownName: there is none; what there is for the device, or devices of like names, are listed.
    """
    tables = _readable(device)
    wanted = {"runtime": runtime, "threads": str(threads), "precision": precision}
    fitting = [table for table in tables if all(table.header[name] == value for name, value in wanted.items())]
    if fitting:
        return max(fitting, key=lambda table: len(table.ops))
    if tables:
        there = ", ".join(sorted({" ".join(table.header[name] for name in wanted) for table in tables}))
        raise UnknownName(f"device {device}: no table for {' '.join(wanted.values())}; there are {there}")
    names = sorted({file.parent.name for file in table_files()})
    near = get_close_matches(device, names, n=2) or names
    hint = f"there are {', '.join(near)}" if near else "measure one with `edgenas profile`"
    raise UnknownName(f"device: no {device!r}; {hint}")


def _readable(device: str) -> list[LatencyTable]:
    """The device's tables that can be read; a damaged one must not hide a good one."""
    tables = []
    for file in table_files():
        if file.parent.name == device:
            try:
                tables.append(read_table(file))
            except EdgeNASError:
                continue
    return tables
