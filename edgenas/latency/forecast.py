"""Latency of kernels that no space wrote: rows of a table where it has them, else estimates from counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.cost.counts import Counts, count_ops
from edgenas.graph.graph import Graph
from edgenas.latency.correction import ENOUGH_NETS, Correction, features, fit_correction
from edgenas.latency.general_space import NAME
from edgenas.latency.missing_ops import fit_estimator, op_kind
from edgenas.latency.predictor import Latency, Prices, training_rows
from edgenas.latency.table import LatencyTable

# A kernel costs at least this share of its time alone: what other networks' kernels lose to fusing, it may keep.
LEAST_SHARE = 0.1
# No kernel is free, so that shares of a forecast are defined.
LEAST_MS = 1e-5
# A small network costs less than the intercept of those that the correction was fitted on.
MOST_REBATE = 0.5


@dataclass(frozen=True)
class Kernel:
    """One kernel of a file; `key` is of the op that it is, or, unless `exact`, of the one that runs most like it."""

    name: str
    kind: str
    key: str
    exact: bool
    counts: Counts


@dataclass(frozen=True)
class Part:
    """What one kernel adds to a latency, and whether that was estimated."""

    kernel: Kernel
    ms: float
    estimated: bool


@dataclass(frozen=True)
class Forecast:
    """Predicted latency of a file in ms with its interval; `parts` and `rest_ms` add up to it.

    `macs_only_ms` is what MACs alone would say: the rate of the networks behind the correction.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    macs_only_ms: float
    rest_ms: float
    nets: int
    parts: tuple[Part, ...]

    @property
    def estimated_share(self) -> float:
        """Return the estimated share of the kernels' time, 0 to 1."""
        return sum(part.ms for part in self.parts if part.estimated) / sum(part.ms for part in self.parts)

    def by_kind(self) -> Mapping[str, list[Part]]:
        """Return the parts of each kind, those that take longest first."""
        kinds: dict[str, list[Part]] = {}
        for part in sorted(self.parts, key=lambda part: -part.ms):
            kinds.setdefault(_kind(part.kernel), []).append(part)
        return dict(sorted(kinds.items(), key=lambda item: -sum(part.ms for part in item[1])))


def graph_forecast(graph: Graph, latency: Latency, low: Latency, high: Latency) -> Forecast:
    """Forecast a space's own network.

    Args:
        graph: the network.
        latency: the prediction, as `latency_interval` returns it.
        low: the interval's low end.
        high: the interval's high end.
    """
    prices, correction = latency.prices, latency.correction
    counts = count_ops(graph.priced)
    parts = [
        Part(Kernel(n.name, op_kind(n.key), n.key, True, counts[n.key]), ms, n.key in prices.estimated)
        for n, ms in zip(graph.priced, latency.node_costs(graph.priced).tolist(), strict=True)
    ]
    return Forecast(
        latency_ms=latency(graph),
        low_ms=low(graph),
        high_ms=high(graph),
        macs_only_ms=sum(part.kernel.counts.macs for part in parts) * ms_per_mac(prices.table, correction),
        rest_ms=latency.intercept,
        nets=correction.nets,
        parts=tuple(parts),
    )


class Forecaster:
    """Predicts any network from one table, corrected on its whole networks: those of all usual blocks if it has them.

    Raises:
        MissingOps: the table has no rows at all.
    """

    def __init__(self, table: LatencyTable) -> None:
        """Fit the estimates and the correction, once for many networks."""
        self.table = table
        self.estimator = fit_estimator(table)
        nets, net_ms = _networks(Prices(table, estimate_missing=True))
        self.correction = fit_correction(nets, net_ms)

    def __call__(self, kernels: Sequence[Kernel]) -> Forecast:
        """Forecast a network of these kernels; each adds to it, and what has no row of its own is estimated."""
        measured = np.array([kernel.exact and kernel.key in self.table.ops for kernel in kernels])
        ms = np.array([self._part_ms(kernel) for kernel in kernels])
        margin = self.correction.margin + self.table.adapted_margin + self.table.unclean_margin
        # The correction errs for all kernels, the estimator only for those without a row.
        width = margin + np.where(measured, 0.0, self.estimator.error)
        # Fitted on other networks, the intercept may be below zero, but a small network is no gift.
        rest_ms = max(self.correction.intercept, -MOST_REBATE * float(ms.sum()))
        # The margin is of the whole latency, so the constant part takes its share, with its sign.
        low_ms, high_ms = (
            float(ms @ np.maximum(0, 1 + side * width)) + rest_ms * max(0, 1 + side * margin) for side in (-1, 1)
        )
        return Forecast(
            latency_ms=float(ms.sum()) + rest_ms,
            low_ms=low_ms,
            high_ms=high_ms,
            macs_only_ms=sum(kernel.counts.macs for kernel in kernels) * ms_per_mac(self.table, self.correction),
            rest_ms=rest_ms,
            nets=self.correction.nets,
            parts=tuple(Part(k, m, not row) for k, m, row in zip(kernels, ms.tolist(), measured.tolist(), strict=True)),
        )

    def _part_ms(self, kernel: Kernel) -> float:
        """Return a kernel's corrected ms; what only resembles an op that does not convolve is of no kind of its own."""
        row = self.table.ops.get(kernel.key) if kernel.exact else None
        ms = row.ms if row else self.estimator(kernel.key, kernel.counts)
        has_kind = kernel.exact or kernel.key.startswith("conv ")
        found = features(kernel.key if has_kind else "", ms, kernel.counts.bytes, kernel.counts.macs)
        return max(LEAST_SHARE * ms, float(self.correction.node_costs(found[None])[0]), LEAST_MS)


def knows_all_blocks(table: LatencyTable) -> bool:
    """Tell whether its networks stand for those that edgenas did not make; else the interval holds for its space."""
    return sum(net.spec.split()[0] == NAME for net in table.nets) >= ENOUGH_NETS


def _networks(prices: Prices) -> tuple[list[np.ndarray], list[float]]:
    """Return features and measured ms of the networks of all usual blocks, or, where those are few, of all networks."""
    general = training_rows(prices, NAME)
    return general if len(general[1]) >= ENOUGH_NETS else training_rows(prices, None)


def ms_per_mac(table: LatencyTable, correction: Correction) -> float:
    """Return the usual time per MAC of whole networks, or of single ops where the table has none."""
    if correction.ms_per_megamac:
        return correction.ms_per_megamac / 1e6
    rates = [row.ms / row.macs for row in table.ops.values() if row.macs]
    return float(np.median(rates)) if rates else 0.0


def _kind(kernel: Kernel) -> str:
    """Return what people call it: the kind of the op that it is, else the file's own name for it."""
    return op_kind(kernel.key) if kernel.exact else kernel.kind
