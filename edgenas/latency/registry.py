"""Latency tables by the name of their device: those that come with edgenas, and those of this user."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from edgenas.errors import EnvironmentFault, TableError, UnknownName
from edgenas.latency.table import LatencyTable, read_table
from edgenas.system import plugins
from edgenas.system.run_folder import cache_folder


def shipped_tables() -> Path:
    """Return the folder `latency_tables` of the package, or of its source."""
    package = plugins.PACKAGE
    # An installed package holds its tables; in a checkout they lie beside it.
    return next((f for f in (package / "latency_tables", package.parent / "latency_tables") if f.is_dir()), package)


def own_tables() -> Path:
    """Return where this user's tables are kept; a temporary folder if there is no usable home.

    Raises:
        EnvironmentFault: there is neither.
    """
    folder = cache_folder("tables")
    if folder is None:
        raise EnvironmentFault("no folder for latency tables; set XDG_CACHE_HOME to one that can be written")
    return folder


def table_files() -> Iterator[Path]:
    """Yield the files of all tables there are, `<device>/<name>.csv`; the user's own first."""
    for root in (own_tables(), shipped_tables()):
        yield from sorted(root.glob("*/*.csv"))


def table_name(table: LatencyTable) -> str:
    """Return `<device>/<runtime>-<threads>t-<precision>`, from the header."""
    return f"{table.device}/{_conditions(table)}"


def table_path(folder: Path, table: LatencyTable) -> Path:
    """Return where a folder of tables keeps this one."""
    return folder / f"{table_name(table)}.csv"


def device_table(name: str, *, runtime: str, threads: int, precision: str = "fp32") -> LatencyTable:
    """Read the table of a device under these conditions; of several the one with most ops.

    Args:
        name: of the device, or the whole `table_name`, which says the conditions itself.
        runtime: the plugin's name.
        threads: of the runtime.
        precision: fp32 or int8.

    Raises:
        DamagedTable: there is one, which cannot be read.
        UnknownName: there is none; what there is for the device, or devices of like names, are listed.
    """
    device, _, conditions = name.partition("/")
    wanted = conditions or f"{runtime}-{threads}t-{precision}"
    tables = list(readable_tables(device))
    fitting = [table for table in tables if _conditions(table) == wanted]
    if fitting:
        # `max` takes the first of several, and the user's own tables come first.
        return max(fitting, key=lambda table: len(table.ops))
    for file in table_files():
        if file.parent.name == device and (file.stem == wanted or not tables):
            read_table(file)  # it says what is wrong with it
    if tables:
        there = ", ".join(sorted({table_name(table) for table in tables}))
        raise UnknownName(f"device {device}: no table {wanted}; there are {there}")
    names = sorted({file.parent.name for file in table_files()})
    near = get_close_matches(device, names, n=2) or names
    hint = f"there are {', '.join(near)}" if near else "make a kit to measure one with `edgenas kit`"
    raise UnknownName(f"device: no {device!r}; {hint}")


def _conditions(table: LatencyTable) -> str:
    h = table.header
    return f"{h['runtime']}-{h['threads']}t-{h['precision']}"


def readable_tables(device: str | None = None) -> Iterator[LatencyTable]:
    """Yield all tables, or one device's, that can be read; a damaged one must not hide a good one."""
    for file in table_files():
        if device in (None, file.parent.name):
            with contextlib.suppress(TableError):
                yield read_table(file)
