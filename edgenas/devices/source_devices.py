"""Known devices: the tables from which a new device's few probes are chosen, and its other rows predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from edgenas.devices.probes import Net
from edgenas.errors import TableError, UnknownName, UsageError
from edgenas.graph.graph import Node
from edgenas.latency.registry import readable_tables, table_name
from edgenas.latency.table import LatencyTable, NetRow, read_table
from edgenas.latency.transfer_table import choose_probes
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import is_allowed

ALL = "all"
LEAST_SHARE = 1 / 3  # of ops and of networks in common: what a table lacks of them is estimated, or lost to all


@dataclass(frozen=True)
class Scope:
    """What a kit is about: ops by key, and networks of a space that may be narrowed."""

    nodes: Mapping[str, Node]
    space: SearchSpace

    def cut(self, table: LatencyTable) -> LatencyTable:
        """The table without the rows of other ops and networks."""
        ops = {key: row for key, row in table.ops.items() if key in self.nodes}
        return replace(table, ops=ops, nets=tuple(net for net in table.nets if self._holds(net)))

    def choose(self, known: Sequence[LatencyTable], count: int) -> tuple[list[Node], list[Net]]:
        """The ops and networks of known tables that tell most about a new device."""
        chosen = choose_probes(known, count)
        nets = [(self.space, self.space.parse(code)) for _, code in chosen.nets]
        return [self.nodes[key] for key in chosen.ops], nets

    def _holds(self, net: NetRow) -> bool:
        if net.spec != self.space.spec:
            return False
        try:
            arch = self.space.parse(net.code)
        except UsageError:  # written by another version of the space
            return False
        return is_allowed(self.space, arch)


def known_tables(
    names: Sequence[str], scope: Scope, precision: str, new: LatencyTable | None = None
) -> list[LatencyTable]:
    """Measured tables of one precision, cut to `scope`; of two of the same device and conditions the first counts.

    A name is a device, `<device>/<runtime>-<threads>t-<precision>`, a file, or `all`: this user's tables and those that
    come with edgenas, as far as they have enough rows in common. Tables of the `new` device are left out; another
    runtime or number of threads makes another device.

    Raises:
        UnknownName: no table has that name; names that are like it are listed.
        UsageError: no table of that name is of use here, and why.
        TableError: a file that is no table.
    """
    found: dict[str, LatencyTable] = {}
    for name in names:
        tables = _of_use(name, [scope.cut(table) for table in _named(name)], precision, new)
        for table in _alike(tables) if name == ALL else tables:
            found.setdefault(table_name(table), table)
    return list(found.values())


def check_replaceable(path: Path, measured: LatencyTable) -> None:
    """Raises TableError if a table at `path` holds more measured rows than these: predictions must not replace them."""
    try:
        there = read_table(path)
    except TableError:  # there is none, or none that anybody can use
        return
    rows = len(there.ops) + len(there.nets)
    if "adapted" not in there.header and rows > len(measured.ops) + len(measured.nets):
        raise TableError(
            f"{path}: {rows} measured rows would be lost to predicted ones; give another folder with --out"
        )


def _of_use(name: str, tables: list[LatencyTable], precision: str, new: LatencyTable | None) -> list[LatencyTable]:
    own = table_name(new) if new else ""
    filters: tuple[tuple[str, Callable[[LatencyTable], bool]], ...] = (
        ("to be found", lambda table: table.header["precision"] == precision),
        ("that is not adapted itself", lambda table: "adapted" not in table.header),
        ("of another device than the new one", lambda table: table_name(table) != own),
        ("with ops of the kit's space", lambda table: bool(table.ops)),
    )
    for words, holds in filters:
        tables = [table for table in tables if holds(table)]
        if not tables:
            hint = "`edgenas list devices` shows what there is; or choose another --precision"
            raise UsageError(f"--from {name}: no {precision} table {words}; {hint}")
    return tables


def _named(name: str) -> list[LatencyTable]:
    """All tables of that name that can be read; a damaged one stops only who names its file."""
    if Path(name).is_file():
        return [read_table(Path(name))]
    tables = list(readable_tables())
    fitting = [table for table in tables if name in (ALL, table.device, table_name(table))]
    if fitting or name == ALL:
        return fitting
    names = sorted({table.device for table in tables})
    near = get_close_matches(name, names, n=2) or names
    hint = f"there are {', '.join(near)}" if near else "measure one with `edgenas kit` first"
    raise UnknownName(f"--from {name}: no such device or file; {hint}")


def _alike(tables: Sequence[LatencyTable]) -> list[LatencyTable]:
    """The most tables that share enough with one of them; of equally many, those around the fullest."""
    groups = [(len(table.ops), [other for other in tables if _share(table, other)]) for table in tables]
    return max(groups, key=lambda group: (len(group[1]), group[0]))[1]


def _share(a: LatencyTable, b: LatencyTable) -> bool:
    """Whether two tables have enough ops, and enough networks, in common."""
    nets = [{(net.spec, net.code) for net in table.nets} for table in (a, b)]
    return all(
        len(mine & theirs) >= LEAST_SHARE * max(len(mine), len(theirs))
        for mine, theirs in ((a.ops.keys(), b.ops.keys()), (nets[0], nets[1]))
    )
