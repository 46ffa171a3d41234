"""Times for ops that a table lacks, from their counts, by kind of op: monotone in work and never negative."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgenas.cost.counts import Counts
from edgenas.cost.table import LatencyTable, OpRow
from edgenas.errors import MissingOps
from edgenas.ops import FUSED_ACTIVATIONS

FEWEST_ROWS = 4  # of a kind, to fit its three coefficients
_CONV = re.compile(r"conv k(\d+) s\d+ g(\d+) (\w+) \d+ \| (\d+)x")


def op_kind(key: str) -> str:
    """Kind of a table key for pricing: `pointwise`, `depthwise`, `conv`, or the op's own name; of no key, none."""
    if match := _CONV.match(key):
        kernel, groups, _, channels = match.groups()
        if groups == channels and groups != "1":
            return "depthwise"
        return "pointwise" if kernel == "1" else "conv"
    return key.partition(" ")[0]


def _family(key: str) -> str:
    """Rows that share a rate: the kind, split by depthwise kernel and by activations that runtimes do not fuse."""
    kind = op_kind(key)
    if match := _CONV.match(key):
        kernel, _, act, _ = match.groups()
        kind += f" k{kernel}" if kind == "depthwise" else ""
        kind += "" if act in FUSED_ACTIVATIONS else f" {act}"
    return kind


@dataclass(frozen=True)
class Estimator:
    """ms = a * macs + b * bytes + c per family, a, b, c >= 0; `error` is the usual relative error on measured rows."""

    rates: Mapping[str, tuple[float, float, float]]
    error: float

    def __call__(self, key: str, counts: Counts) -> float:
        """Estimated ms; families without rows of their own use the rates of all rows."""
        a, b, c = self.rates.get(_family(key), self.rates[""])
        return a * counts.macs + b * counts.bytes + c


def fit_estimator(table: LatencyTable) -> Estimator:
    """Non-negative least squares on relative errors, per family and over all rows.

    `error` is the 90 % quantile of the relative errors, each row predicted from the others of its family.

    Raises:
        MissingOps: the table has no rows to learn from; an estimate of 0 ms would pass for a measurement.
    """
    if not table.ops:
        raise MissingOps(f"{table.device}: no rows to estimate from; run `edgenas profile` for this space")
    families: dict[str, list[OpRow]] = {"": list(table.ops.values())}
    for key, row in table.ops.items():
        families.setdefault(_family(key), []).append(row)
    rates = {name: _fit(rows) for name, rows in families.items() if len(rows) >= FEWEST_ROWS or name == ""}
    errors = []
    for name, rows in families.items():
        if name and name in rates:
            for i, row in enumerate(rows):
                a, b, c = _fit(rows[:i] + rows[i + 1 :])
                errors.append(abs((a * row.macs + b * row.bytes + c) / row.ms - 1))
    return Estimator(rates, float(np.quantile(errors, 0.9)) if errors else 1.0)


def _fit(rows: list[OpRow]) -> tuple[float, float, float]:
    from scipy.optimize import nnls

    ms = np.array([row.ms for row in rows])
    features = np.array([(row.macs, row.bytes, 1.0) for row in rows])
    scale = features.max(axis=0).clip(1e-12)
    coefficients, _ = nnls(features / scale / ms[:, None], np.ones(len(rows)))
    a, b, c = coefficients / scale
    return float(a), float(b), float(c)
