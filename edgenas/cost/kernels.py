"""Latency of kernels that no space wrote: rows of a table where it has them, else estimates from counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.cost.correction import features, fit_correction
from edgenas.cost.counts import Counts
from edgenas.cost.estimate import op_kind
from edgenas.cost.latency import Prices, training_rows
from edgenas.cost.table import LatencyTable


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

    `macs_only_ms` is what multiply-adds alone would say: the rate of the networks behind the correction.
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
        """Of the kernels' time, 0 to 1."""
        return sum(part.ms for part in self.parts if part.estimated) / sum(part.ms for part in self.parts)

    def by_kind(self) -> Mapping[str, list[Part]]:
        """The parts of each kind, those that take longest first."""
        kinds: dict[str, list[Part]] = {}
        for part in sorted(self.parts, key=lambda part: -part.ms):
            kinds.setdefault(_kind(part.kernel), []).append(part)
        return dict(sorted(kinds.items(), key=lambda item: -sum(part.ms for part in item[1])))


def forecast(kernels: Sequence[Kernel], table: LatencyTable) -> Forecast:
    """Predict one network. The correction is fitted on all whole networks of the table, whatever their space.

    Raises:
        MissingOps: the table has no rows at all.
    """
    prices = Prices(table, estimate_missing=True)
    nets, net_ms = _networks(prices)
    correction = fit_correction(nets, net_ms)
    measured = [kernel.exact and kernel.key in table.ops for kernel in kernels]
    raw_ms = [
        table.ops[kernel.key].ms if known else prices.estimator(kernel.key, kernel.counts)
        for kernel, known in zip(kernels, measured, strict=True)
    ]
    rows = [features(k.key, ms, k.counts.bytes, k.counts.macs) for k, ms in zip(kernels, raw_ms, strict=True)]
    ms = np.array(rows) @ np.array(correction.coefficients)
    width = correction.margin + np.where(measured, 0.0, prices.estimator.error)
    low_ms, high_ms = (
        float(ms @ np.maximum(0, 1 + side * width)) + correction.intercept * max(0, 1 + side * correction.margin)
        for side in (-1, 1)
    )
    return Forecast(
        latency_ms=float(ms.sum()) + correction.intercept,
        low_ms=low_ms,
        high_ms=high_ms,
        macs_only_ms=sum(kernel.counts.macs for kernel in kernels) * _ms_per_mac(table, nets, net_ms),
        rest_ms=correction.intercept,
        nets=correction.nets,
        parts=tuple(Part(k, float(m), not known) for k, m, known in zip(kernels, ms, measured, strict=True)),
    )


def _networks(prices: Prices) -> tuple[list[np.ndarray], list[float]]:
    """Features and measured ms of all networks of the table."""
    names = sorted({net.spec.split()[0] for net in prices.table.nets})
    found = [training_rows(prices, name) for name in names]
    return [row for rows, _ in found for row in rows], [ms for _, times in found for ms in times]


def _ms_per_mac(table: LatencyTable, nets: Sequence[np.ndarray], net_ms: Sequence[float]) -> float:
    """The usual rate of whole networks, or of single ops where the table has none."""
    if net_ms:
        return float(np.median([ms / row[-1] for ms, row in zip(net_ms, nets, strict=True)])) / 1e6
    rates = [row.ms / row.macs for row in table.ops.values() if row.macs]
    return float(np.median(rates)) if rates else 0.0


def _kind(kernel: Kernel) -> str:
    """What people call it: the kind of the op that it is, else the file's own name for it."""
    return op_kind(kernel.key) if kernel.exact else kernel.kind
