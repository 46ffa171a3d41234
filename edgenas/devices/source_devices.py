"""Source devices: the measured tables by which a new device's probes are chosen, and its other rows predicted."""

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
# The share of ops, and of networks, that two tables must have in common: ops that one lacks are estimated, and networks
# that one lacks are lost to all.
LEAST_SHARE = 1 / 3


@dataclass(frozen=True)
class Scope:
    """What a kit is about: ops by key, and networks of a space that may be narrowed."""

    nodes: Mapping[str, Node]
    space: SearchSpace

    def restrict(self, table: LatencyTable) -> LatencyTable:
        """Return the table without the rows of other ops and networks."""
        ops = {key: row for key, row in table.ops.items() if key in self.nodes}
        return replace(table, ops=ops, nets=tuple(net for net in table.nets if self._holds(net)))

    def choose(self, sources: Sequence[LatencyTable], count: int) -> tuple[list[Node], list[Net]]:
        """Choose the ops and networks that tell most about a new device.

        Args:
            sources: tables of source devices, restricted to this scope.
            count: how many, ops and networks together.
        """
        chosen = choose_probes(sources, count)
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


def source_tables(
    names: Sequence[str], scope: Scope, precision: str, new: LatencyTable | None = None
) -> list[LatencyTable]:
    """Return measured tables of source devices; of two of the same device and conditions the first counts.

    Args:
        names: each is a device, `<device>/<runtime>-<threads>t-<precision>`, a file, or `all`: this user's tables and
            those that come with edgenas, as far as they have enough rows in common.
        scope: what the tables are restricted to.
        precision: fp32 or int8.
        new: a table of the new device, whose own tables are left out; another runtime or number of threads makes
            another device.

    Raises:
        UnknownName: no table has that name; names that are like it are listed.
        UsageError: no table of that name is of use here, and why.
        TableError: a file that is no table.
    """
    found: dict[str, LatencyTable] = {}
    for name in names:
        tables = _of_use(name, [scope.restrict(table) for table in _named(name)], precision, new)
        for table in _overlapping(tables) if name == ALL else tables:
            found.setdefault(table_name(table), table)
    return list(found.values())


def names_of(tables: Sequence[LatencyTable]) -> list[str]:
    """Return what the tables are named in a kit's manifest."""
    return [table_name(table) for table in tables]


def check_replaceable(path: Path, measured: LatencyTable) -> None:
    """Raise TableError if predictions would replace more measured rows than they are made from.

    Args:
        path: where the adapted table is to be written.
        measured: the rows that it is made from.
    """
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
    """Return the tables that can be learned from. Raises UsageError, with the reason, if there is none."""
    own = table_name(new) if new else ""
    filters: tuple[tuple[str, Callable[[LatencyTable], bool]], ...] = (
        ("to be found", lambda table: table.header["precision"] == precision),
        ("that is not adapted itself", lambda table: "adapted" not in table.header),
        ("of another device than the new one", lambda table: table_name(table) != own),
        ("with ops of the kit's space", lambda table: bool(table.ops)),
    )
    # One after the other, so that the message names the first reason by which nothing is left.
    for words, holds in filters:
        tables = [table for table in tables if holds(table)]
        if not tables:
            hint = "`edgenas list devices` shows what there is; or choose another --precision"
            raise UsageError(f"--from {name}: no {precision} table {words}; {hint}")
    return tables


def _named(name: str) -> list[LatencyTable]:
    """Return all tables of that name that can be read; a damaged one is an error only when its file is named."""
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


def _overlapping(tables: Sequence[LatencyTable]) -> list[LatencyTable]:
    """Return the most tables that share enough rows with one of them; of two such groups that of the fuller table."""
    groups = [(len(table.ops), [other for other in tables if _share(table, other)]) for table in tables]
    return max(groups, key=lambda group: (len(group[1]), group[0]))[1]


def _share(a: LatencyTable, b: LatencyTable) -> bool:
    """Tell whether two tables have enough ops, and enough networks, in common."""
    # Of networks the space must agree as well: equal codes of two spaces are two networks.
    nets = [{(net.spec, net.code) for net in table.nets} for table in (a, b)]
    return all(
        len(mine & theirs) >= LEAST_SHARE * max(len(mine), len(theirs))
        for mine, theirs in ((a.ops.keys(), b.ops.keys()), (nets[0], nets[1]))
    )
