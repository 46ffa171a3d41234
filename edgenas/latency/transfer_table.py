"""A latency table of a new device from few measured rows of it and the tables of source devices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.cost.counts import Counts, count_ops
from edgenas.errors import TableError, UsageError
from edgenas.latency.correction import KINDS, feature_index
from edgenas.latency.missing_ops import fit_estimator
from edgenas.latency.predictor import net_graphs
from edgenas.latency.table import LARGEST_MS, LEAST_MS, LatencyTable, NetRow, OpRow
from edgenas.latency.transfer import PROBES, Prior, adapt, choose, fit_prior

NetName = tuple[str, str]  # spec and code


@dataclass(frozen=True)
class Probes:
    """What to measure on a new device: op keys, and networks by spec and code."""

    ops: tuple[str, ...]
    nets: tuple[NetName, ...]


@dataclass(frozen=True)
class _Items:
    """Ops by key, then whole networks: latencies (n, tables) in ms, and counts by kind of op as feature groups."""

    ops: Mapping[str, Counts]
    nets: tuple[NetName, ...]
    source_ms: np.ndarray
    features: tuple[np.ndarray, ...]

    def fit(self, probes: int) -> Prior:
        return fit_prior(self.source_ms, self.features, probes)


def choose_probes(
    sources: Sequence[LatencyTable], count: int = PROBES, *, among: Collection[str | NetName] | None = None
) -> Probes:
    """Choose the rows of source devices' tables that tell most about a new device.

    Args:
        sources: measured tables, all under the same conditions.
        count: how many rows, ops and networks together.
        among: the op keys and networks that can be measured on the new device; by default all.

    Raises:
        UsageError: no source table, or none of its rows can be measured.
    """
    items = _items(sources, {})
    names: list[str | NetName] = [*items.ops, *items.nets]
    allowed = [i for i, name in enumerate(names) if among is None or name in among]
    if not allowed:
        raise UsageError("no row of the source tables can be measured on the new device; name tables of the same space")
    chosen = [names[i] for i in choose(items.fit(count), count, np.array(allowed))]
    return Probes(
        tuple(name for name in chosen if isinstance(name, str)),
        tuple(name for name in chosen if not isinstance(name, str)),
    )


def adapted_table(sources: Sequence[LatencyTable], probes: LatencyTable) -> LatencyTable:
    """Make the table of a new device: rows of `probes` as measured there, all other rows of `sources` predicted.

    Predicted rows have 0 runs. The header says `adapted`, and `adapted_margin`: the half width of the 90 % interval of
    predicted rows, by which `latency_interval` is wider than for a measured table.

    Args:
        sources: measured tables of other devices, all under the same conditions.
        probes: what was measured on the new device.

    Raises:
        UsageError: no source table, or fewer than three measured rows.
        TableError: the probes come from an adapted table.
    """
    if "adapted" in probes.header:
        raise TableError(f"{probes.device}: this table is adapted already; adapt the measured rows it was made from")
    items = _items(sources, probes.ops)
    names: list[str | NetName] = [*items.ops, *items.nets]
    places = {name: i for i, name in enumerate(names)}
    times: dict[str | NetName, float] = {key: row.ms for key, row in probes.ops.items()}
    for net in probes.nets:
        times[net.spec, net.code] = net.ms
    measured = {places[name]: ms for name, ms in times.items() if name in places}
    result = adapt(items.fit(len(measured)), measured)
    # What no table may hold would be refused when the written table is read.
    ms = np.clip(result.ms, LEAST_MS, LARGEST_MS).tolist()
    ops = {key: _op_row(ms[places[key]], counts) for key, counts in items.ops.items()}
    nets = [NetRow(*name, ms[places[name]], ms[places[name]], 0) for name in items.nets]
    header = {
        **probes.header,
        "adapted": f"{len(measured)} probes from {', '.join(dict.fromkeys(_name(table) for table in sources))}",
        "adapted_margin": f"{_margin(items, np.array(ms), result.margin, measured):.4f}",
    }
    return LatencyTable(header, ops, tuple(nets)).extended(probes.ops, probes.nets)


def _name(table: LatencyTable) -> str:
    header = table.header
    return f"{table.device} ({header['runtime']} {header['threads']}t {header['precision']})"


def _op_row(ms: float, counts: Counts) -> OpRow:
    return OpRow(ms, ms, 0, counts.macs, counts.params, counts.bytes)


def _items(sources: Sequence[LatencyTable], more: Mapping[str, OpRow]) -> _Items:
    """Collect ops of any table, estimated where one lacks them, and networks that all tables hold, of whatever ops."""
    if not sources:
        raise UsageError("adapting needs the table of a source device; see `edgenas list devices`")
    if adapted := [table.device for table in sources if "adapted" in table.header]:
        raise TableError(f"{adapted[0]}: this table is adapted itself; learn from measured tables alone")
    # Counts of an op are the same in every table; the first source's row wins, as it does for latencies.
    rows = {**more, **{key: row for table in reversed(sources) for key, row in table.ops.items()}}
    ops = {key: Counts(row.macs, row.params, row.bytes) for key, row in rows.items()}
    op_ms = [_op_ms(table, ops) for table in sources]
    net_ms = [{(net.spec, net.code): net.ms for net in table.nets} for table in sources]
    features = [_features([key], ops) for key in ops]
    graphs = {(net.spec, net.code): graph for net, graph in net_graphs(sources[0].nets)}
    graphs = {name: graph for name, graph in graphs.items() if all(name in each for each in net_ms)}
    # A network may hold ops that no table has a row for: as features, they need counts all the same.
    others = [node for graph in graphs.values() for node in graph.priced if node.key not in ops]
    counts = {**ops, **count_ops(others)}
    features += [_features([node.key for node in graph.priced], counts) for graph in graphs.values()]
    columns = [[*ms, *(each[name] for name in graphs)] for ms, each in zip(op_ms, net_ms, strict=True)]
    # From (items, groups, kinds): `fit_prior` takes one array (n, kinds) for each group.
    groups = np.array(features).transpose(1, 0, 2)
    return _Items(ops, tuple(graphs), np.array(columns).T, tuple(groups))


def _op_ms(table: LatencyTable, ops: Mapping[str, Counts]) -> list[float]:
    """Return every op's ms on a source device: its row, or an estimate from the table's other rows."""
    missing = [key for key in ops if key not in table.ops]
    estimator = fit_estimator(table) if missing else None
    estimates = {key: max(LEAST_MS, estimator(key, ops[key])) for key in missing} if estimator else {}
    return [table.ops[key].ms if key in table.ops else estimates[key] for key in ops]


def _features(keys: Sequence[str], ops: Mapping[str, Counts]) -> np.ndarray:
    """Return MACs, bytes and number of the ops (3, kinds), summed over `keys` by kind."""
    sums = np.zeros((3, len(KINDS) + 1))
    for key in keys:
        sums[:, feature_index(key)] += ops[key].macs, ops[key].bytes, 1.0
    return sums


def _margin(items: _Items, ms: np.ndarray, margin: np.ndarray, measured: Collection[int]) -> float:
    """Return the margin of predicted networks, or of predicted ops where there are none; each counts by its time."""
    predicted = np.array([i not in measured for i in range(len(ms))])
    networks = predicted & (np.arange(len(ms)) >= len(items.ops))
    rows = networks if networks.any() else predicted
    return float(np.average(margin[rows], weights=ms[rows])) if rows.any() else 0.0
