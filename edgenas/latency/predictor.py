"""Latency of a graph from a table: corrected sum of op rows, and the interval around it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from edgenas.cost.base import AdditiveCost
from edgenas.cost.counts import Counts, count_ops
from edgenas.errors import MissingOps, OwnCode, UsageError
from edgenas.graph.graph import Graph, Node
from edgenas.latency.correction import Correction, features, fit_correction, network_features
from edgenas.latency.missing_ops import Estimator, fit_estimator
from edgenas.latency.table import LatencyTable, NetRow, OpRow
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import parse_spec
from edgenas.system.metric import Metric
from edgenas.system.text import printable

MOST_NAMED = 3  # spaces or networks of a table that a message names
# Networks of one trained network at one image size, measured together, that need no others beside them.
ENOUGH_ALIKE = 24


class Prices:
    """Features of nodes under one table: measured rows, and estimates for missing ones if allowed."""

    def __init__(self, table: LatencyTable, *, estimate_missing: bool = False) -> None:
        """Price by one table; with `estimate_missing`, ops without a row are priced from their counts."""
        self.table = table
        self.estimate_missing = estimate_missing
        self.estimated: dict[str, OpRow] = {}
        self._estimator: Estimator | None = None
        self._features: dict[str, np.ndarray] = {}

    @property
    def estimator(self) -> Estimator:
        """Return the estimator of missing rows, fitted on first use."""
        if self._estimator is None:
            self._estimator = fit_estimator(self.table)
        return self._estimator

    def features(self, nodes: Sequence[Node]) -> np.ndarray:
        """Return the additive features (len(nodes), features) of nodes.

        Raises:
            MissingOps: the table has no row for some key, and estimates are not allowed.
        """
        missing = [node for node in nodes if node.key not in self.table.ops and node.key not in self.estimated]
        if missing:
            self._estimate(missing)
        for node in nodes:
            if node.key not in self._features:
                row = self.table.ops.get(node.key) or self.estimated[node.key]
                self._features[node.key] = features(node.key, row.ms, row.bytes, row.macs)
        return np.array([self._features[node.key] for node in nodes]).reshape(len(nodes), -1)

    def _estimate(self, nodes: Sequence[Node]) -> None:
        keys = sorted({node.key for node in nodes})
        if not self.estimate_missing:
            held = ", ".join(sorted({net.spec for net in self.table.nets})[:MOST_NAMED])
            raise MissingOps(
                f"{self.table.device}: {len(keys)} ops unprofiled, first {keys[0]!r}; "
                + (f"the table is of {held}, so give that space and size, or " if held else "")
                + "measure this space by `edgenas profile` on that machine, or by `edgenas kit`"
                + ("; or pass --estimate-missing" if self.table.ops else "")
            )
        for key, counts in count_ops(nodes).items():
            self.estimated[key] = self._row(key, counts)

    def _row(self, key: str, counts: Counts) -> OpRow:
        ms = self.estimator(key, counts)
        # 0 runs: nobody has measured it.
        return OpRow(ms, ms, 0, counts.macs, counts.params, counts.bytes)


class Latency(AdditiveCost):
    """Corrected latency in ms; `side` -1, 0 or 1 gives the interval's low end, the prediction or the high end.

    Each estimated row widens the interval by the estimator's own error on the rows it could be checked on, as far as
    the correction does not answer for it.
    """

    def __init__(self, prices: Prices, correction: Correction, side: int = 0) -> None:
        """Predict `latency_ms@<device>`, `latency_low_ms@...` or `latency_high_ms@...`.

        Args:
            prices: of the table's ops.
            correction: fitted on whole networks of one space.
            side: -1 for the interval's low end, 0 for the prediction, 1 for the high end.
        """
        self.prices, self.correction, self.side = prices, correction, side
        bound = {-1: "_low", 0: "", 1: "_high"}[side]
        self.metric = str(Metric(f"latency{bound}_ms", prices.table.device))
        # The intercept is never estimated, so only the correction's own margin widens it.
        self.intercept = correction.intercept * max(0.0, 1 + side * correction.margin)

    def node_costs(self, nodes: Sequence[Node]) -> np.ndarray:
        """Return the corrected ms (len(nodes),) of each node, at the interval's end that `side` names."""
        costs = self.correction.node_costs(self.prices.features(nodes))
        if self.side == 0:
            return costs
        estimated = np.array([node.key in self.prices.estimated for node in nodes])
        # The estimator is asked only if it was needed: a table with every row never has to fit one.
        error = self.prices.estimator.error * self.correction.unanswered if any(estimated) else 0.0
        width = self.correction.margin + np.where(estimated, error, 0.0)
        # A margin above 100 % must not make the low end negative.
        return costs * np.maximum(0.0, 1 + self.side * width)


class EstimatedMs(AdditiveCost):
    """The part of a predicted latency that comes from estimated rows, in ms; the intercept is left out."""

    def __init__(self, latency: Latency) -> None:
        """Take the estimated part of this prediction."""
        self.latency = latency
        self.metric = str(Metric("latency_estimated_ms", latency.prices.table.device))

    def node_costs(self, nodes: Sequence[Node]) -> np.ndarray:
        """Return each node's price if it was estimated, else 0."""
        costs = self.latency.node_costs(nodes)
        return np.where([node.key in self.latency.prices.estimated for node in nodes], costs, 0.0)


def latency_interval(
    table: LatencyTable, space: SearchSpace, *, estimate_missing: bool = False
) -> tuple[Latency, Latency, Latency]:
    """Return prediction, low end and high end, corrected on the table's whole networks of this space.

    A table adapted from other devices, or measured beside other programs, widens the interval by its own margin.

    Args:
        table: of the device.
        space: whose networks are predicted.
        estimate_missing: whether ops without a row are estimated; else they raise MissingOps when they are priced.

    >>> from edgenas.latency.registry import shipped_tables
    >>> from edgenas.latency.table import read_table
    >>> from edgenas.spaces.build import build_space
    >>> table = read_table(shipped_tables() / "amd-epyc-zen4" / "onnxruntime-1t-fp32.csv")
    >>> space = build_space("mbconv", (1, 32, 32), 10)
    >>> costs = latency_interval(table, space, estimate_missing=True)
    >>> [cost.metric for cost in costs]
    ['latency_ms@amd-epyc-zen4', 'latency_low_ms@amd-epyc-zen4', 'latency_high_ms@amd-epyc-zen4']
    >>> ms, low, high = (cost(space.graph(tuple(0 for _ in space.choices))) for cost in costs)
    >>> low < ms < high
    True
    """
    by_size = space.corrected_by_size
    prices = Prices(table if not by_size else _alike(table, space.spec), estimate_missing=estimate_missing)
    correction = fit_correction(*training_rows(prices, space.name, by_size=by_size))
    # Networks of an adapted table are predictions themselves: how well they fit says nothing of how true they are.
    correction = replace(
        correction,
        margin=correction.margin + table.adapted_margin + table.unclean_margin,
        estimated_share=_estimated_share(prices, space.name) if by_size and prices.estimated else 0.0,
    )
    return Latency(prices, correction), Latency(prices, correction, -1), Latency(prices, correction, 1)


def training_rows(
    prices: Prices, space_name: str | None, *, by_size: bool = False
) -> tuple[list[np.ndarray], list[float]]:
    """Return features and measured ms of the table's networks of a space, as far as their ops can be priced.

    Where estimates are allowed they count here too: the correction and its interval then answer for their errors.

    Args:
        prices: of a table's ops.
        space_name: networks of any size and number of classes of this space count; None: of all spaces.
        by_size: whether large ops are summed by themselves, see `network_features`.

    Raises:
        OwnCode: as `net_graphs`.
    """
    rows, ms = [], []
    for net, graph in net_graphs(_of_space(prices.table, space_name)):
        if prices.estimate_missing or all(node.key in prices.table.ops for node in graph.priced):
            nodes = prices.features(graph.priced)
            rows.append(network_features(nodes) if by_size else nodes.sum(axis=0))
            ms.append(net.ms)
    return rows, ms


def _alike(table: LatencyTable, spec: str) -> LatencyTable:
    """The table with the networks of a spec alone, where they are enough.

    Others were measured at another time, when the same machine may have been half as fast.
    """
    alike = tuple(net for net in table.nets if net.spec == spec)
    return replace(table, nets=alike) if len(alike) >= ENOUGH_ALIKE else table


def _estimated_share(prices: Prices, space_name: str) -> float:
    """Return the part of the time alone of the table's networks of a space that is of estimated rows."""
    estimated, total = 0.0, 0.0
    for _, graph in net_graphs(_of_space(prices.table, space_name)):
        for key in (node.key for node in graph.priced):
            row = prices.estimated.get(key)
            total += (row or prices.table.ops[key]).ms
            estimated += 0.0 if row is None else row.ms
    return estimated / total if total else 0.0


def net_graphs(nets: Iterable[NetRow]) -> Iterator[tuple[NetRow, Graph]]:
    """Yield a table's networks with their programs; those that cannot be rebuilt are left out, with a warning.

    Raises:
        OwnCode: none can be rebuilt, as their space is from outside, and nobody has named it.
    """
    spaces: dict[str, SearchSpace] = {}
    lost: list[tuple[NetRow, UsageError]] = []
    count = 0
    for net in nets:
        try:
            if net.spec not in spaces:
                spaces[net.spec] = parse_spec(net.spec)
            space = spaces[net.spec]
            graph = space.graph(space.parse(net.code))
        except UsageError as error:  # of a space that is not here, or written by another version of it
            lost.append((net, error))
            continue
        count += 1
        yield net, graph
    if lost:
        _tell(lost, count)


def _tell(lost: Sequence[tuple[NetRow, UsageError]], count: int) -> None:
    """Warn of networks that are not used, beside `count` that are; raise OwnCode if there are none of these."""
    for _, error in lost:
        if isinstance(error, OwnCode) and not count:
            raise error
    few = ", ".join(f"{net.spec} {net.code}" for net, _ in lost[:MOST_NAMED])
    more = ", ..." if len(lost) > MOST_NAMED else ""
    reasons = "; ".join(dict.fromkeys(str(error) for _, error in lost[:MOST_NAMED]))
    text = f"{len(lost)} of {len(lost) + count} networks of the table are not used: {few}{more} ({reasons})"
    warnings.warn(printable(text), stacklevel=3)


def _of_space(table: LatencyTable, name: str | None) -> list[NetRow]:
    """A table's networks of one space; of all, space by space, if there is no name."""
    by_space = sorted(table.nets, key=lambda net: net.spec.split()[0])
    return [net for net in by_space if name in (None, net.spec.split()[0])]
