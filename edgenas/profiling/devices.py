"""Latency tables by the name of their device: those that come with edgenas, and those of this user."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import edgenas
from edgenas.cost.table import LatencyTable, read_table
from edgenas.errors import EnvironmentFault, TableError, UnknownName
from edgenas.folder import cache_folder


def shipped_tables() -> Path:
    """The folder `latency_tables` of the package, or of its source."""
    package = Path(edgenas.__file__).parent
    return next((f for f in (package / "latency_tables", package.parent / "latency_tables") if f.is_dir()), package)


def own_tables() -> Path:
    """Where this user's tables are kept; a temporary folder if there is no usable home.

    Raises:
        EnvironmentFault: there is neither.
    """
    folder = cache_folder("tables")
    if folder is None:
        raise EnvironmentFault("no folder for latency tables; set XDG_CACHE_HOME to one that can be written")
    return folder


def table_files() -> Iterator[Path]:
    """All tables there are, `<device>/<runtime>-<threads>t-<precision>.csv`; the user's own first."""
    for root in (own_tables(), shipped_tables()):
        yield from sorted(root.glob("*/*.csv"))


def table_name(table: LatencyTable) -> str:
    """`<device>/<runtime>-<threads>t-<precision>.csv`, from the header."""
    h = table.header
    return f"{h['device']}/{h['runtime']}-{h['threads']}t-{h['precision']}.csv"


def device_table(device: str, *, runtime: str | None = None, threads: int = 1, precision: str = "fp32") -> LatencyTable:
    """The table of a device under these conditions; `runtime` None takes the one there is.

    Raises:
        UnknownName: no such device, with the nearest names.
        TableError: the device has tables, but none under these conditions, or two.
    """
    files = list(table_files())
    mine = [file for file in files if file.parent.name == device]
    if not mine:
        known = sorted({file.parent.name for file in files})
        near = get_close_matches(device, known, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known) or 'none'}"
        raise UnknownName(f"no device {device!r}; {hint}; `edgenas kit` measures a new one")
    wanted = {"threads": str(threads), "precision": precision} | ({"runtime": runtime} if runtime else {})
    fitting = [t for t in map(read_table, mine) if all(t.header[name] == value for name, value in wanted.items())]
    runtimes = sorted({table.header["runtime"] for table in fitting})
    if len(runtimes) == 1:
        return fitting[0]
    conditions = ", ".join(f"{name} {value}" for name, value in wanted.items())
    if runtimes:
        raise TableError(f"device {device}: tables of {' and '.join(runtimes)}; say which with --runtime")
    there = "; ".join(sorted(file.stem for file in mine))
    raise TableError(f"device {device}: no table with {conditions}; there are {there}")
