"""Times for ops that a table lacks, from their counts, by kind of op: monotone in work and never negative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.cost.counts import Counts
from edgenas.errors import MissingOps
from edgenas.graph.ops import FUSED_ACTIVATIONS, parse_conv
from edgenas.latency.table import LatencyTable, OpRow

# Rows of a family that its three coefficients can be fitted on, and checked.
FEWEST_ROWS = 6
# Channels that a vector unit computes at once, from none to AVX-512.
BLOCKS = (1, 4, 8, 16)
# At most as many as an image has: runtimes have convolutions of their own for them.
FEW_CHANNELS = 4


def op_kind(key: str) -> str:
    """Return the kind of a table key for pricing: `pointwise`, `depthwise`, `conv`, or the op's own name.

    >>> op_kind("conv k3 s2 g1 relu6 16 | 3x224x224"), op_kind("conv k1 s1 g1 none 8 | 16x7x7"), op_kind("add | 8x7x7")
    ('conv', 'pointwise', 'add')
    """
    if parsed := parse_conv(key):
        conv, channels = parsed
        if conv.groups == channels and channels > 1:
            return "depthwise"
        return "pointwise" if conv.kernel == 1 else "conv"
    return key.partition(" ")[0]


def is_unfused(key: str) -> bool:
    """Tell whether it is a convolution with an activation that runtimes compute apart."""
    parsed = parse_conv(key)
    return parsed is not None and parsed[0].act not in FUSED_ACTIVATIONS


def _families(key: str) -> list[str]:
    """Name the families of rows that share a rate, from the closest to that of all; the first with enough rows is used.

    A kind is split by depthwise kernel, dilation, groups, first layers, activations that runtimes do not fuse, and
    channels that are no multiple of 4, which runtimes compute without blocks.
    """
    names = [op_kind(key)]
    if parsed := parse_conv(key):
        conv, channels = parsed
        marks = (
            (f"k{conv.kernel}", conv.groups == channels and channels > 1),
            ("dilated", conv.dilation > 1),
            ("grouped", 1 < conv.groups < channels),
            ("first", channels <= FEW_CHANNELS),
            ("odd", channels > FEW_CHANNELS and bool(channels % 4 or conv.out % 4)),
            (conv.act, is_unfused(key)),
        )
        for mark, holds in marks:
            if holds:
                names.append(f"{names[-1]} {mark}")
    return [*reversed(names), ""]


def _padding(key: str, block: int) -> float:
    """Return the MACs that are computed for each one that counts, where channels go in blocks."""
    if not (parsed := parse_conv(key)):
        return 1.0
    conv, channels = parsed
    groups, out = conv.groups, conv.out
    # A depthwise kernel sums over no channels, so only its outputs go in blocks.
    if groups == channels and groups > 1:
        return _filled(out, block)
    first = channels // groups <= FEW_CHANNELS
    return _filled(out // groups, block) * (1.0 if first else _filled(channels // groups, block))


def _filled(channels: int, block: int) -> float:
    return -(-channels // block) * block / channels


@dataclass(frozen=True)
class Estimator:
    """ms = a * macs + b * bytes + c per family, a, b, c >= 0; `error` is the usual relative error on measured rows.

    Channels count in multiples of `block`.
    """

    rates: Mapping[str, tuple[float, float, float]]
    error: float
    block: int = 1

    def __call__(self, key: str, counts: Counts) -> float:
        """Estimate ms; families without rows of their own use the rates of the next wider one, at last of all rows."""
        a, b, c = self.rates[next(name for name in _families(key) if name in self.rates)]
        return a * counts.macs * _padding(key, self.block) + b * counts.bytes + c


def fit_estimator(table: LatencyTable) -> Estimator:
    """Fit non-negative least squares on relative errors, per family and over all rows, with the block that fits best.

    `error` is the 90 % quantile of the relative errors, each row predicted from the others of its family.

    Raises:
        MissingOps: the table has no rows to learn from; an estimate of 0 ms would pass for a measurement.
    """
    if not table.ops:
        raise MissingOps(
            f"{table.device}: it has no rows, and none to estimate from; run `edgenas profile` for this space"
        )
    families: dict[str, list[str]] = {}
    for key in table.ops:
        for name in _families(key):
            families.setdefault(name, []).append(key)
    # The family of all rows, "", stays however few there are: it is the last resort.
    families = {name: keys for name, keys in families.items() if len(keys) >= FEWEST_ROWS or name == ""}
    block = min(BLOCKS, key=lambda block: _misfit(table, families, block))
    rates, errors = {}, []
    for name, keys in families.items():
        features, ms = _system(table, keys, block)
        rates[name] = _fit(features, ms)
        # Each row is judged once, in its closest family.
        for i in (i for i, key in enumerate(keys) if name and _closest(key, families) == name):
            others = np.arange(len(ms)) != i
            errors.append(abs(features[i] @ _fit(features[others], ms[others]) / ms[i] - 1))
    # Without a row to check on, an estimate is taken to be off by all of itself.
    return Estimator(rates, float(np.quantile(errors, 0.9)) if errors else 1.0, block)


def _closest(key: str, families: Mapping[str, Sequence[str]]) -> str:
    return next(name for name in _families(key) if name in families)


def _misfit(table: LatencyTable, families: Mapping[str, Sequence[str]], block: int) -> float:
    """Return the sum of squared relative errors over the families that convolve."""
    total = 0.0
    for name, keys in families.items():
        if parse_conv(keys[0]) and name:
            features, ms = _system(table, keys, block)
            total += float(np.sum((features @ _fit(features, ms) / ms - 1) ** 2))
    return total


def _system(table: LatencyTable, keys: Sequence[str], block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (rows, 3) and ms (rows,) of a family."""
    rows: list[OpRow] = [table.ops[key] for key in keys]
    features = [(row.macs * _padding(key, block), row.bytes, 1.0) for key, row in zip(keys, rows, strict=True)]
    return np.array(features), np.array([row.ms for row in rows])


def _fit(features: np.ndarray, ms: np.ndarray) -> tuple[float, float, float]:
    from scipy.optimize import nnls

    # Columns of MACs and of ones differ by ten orders of magnitude; scaled, the solver tells them apart.
    scale = features.max(axis=0).clip(1e-12)
    coefficients, _ = nnls(features / scale / ms[:, None], np.ones(len(ms)))
    a, b, c = coefficients / scale
    return float(a), float(b), float(c)
