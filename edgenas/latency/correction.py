"""The correction from sums of op times to the latency of a network: affine, bounded, with a conformal interval.

Sums of isolated op times miss what a runtime does between ops: per-call overhead, layout changes, fused additions.
The correction is affine in features that add up over nodes (ms by kind of op, nodes, bytes, MACs), so a
corrected latency is still a sum over nodes: a number, a gradient and a row of an integer program. Coefficients are
bounded below by zero, so no node's price is negative; only the intercept may be.

An op that is timed alone finds its tensors in the caches, where its own last run left them; in a network another op
ran in between. What caches cannot hold comes from memory either way, so large ops have coefficients of their own: with
one set for all sizes, networks on large images are predicted too slow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.latency.missing_ops import is_unfused, op_kind

UNFUSED = " unfused"
# Kinds of op with a coefficient of their own; all others share one. An activation that runtimes do not fuse is a pass
# over memory, which in int8 also requantises.
KINDS = ("pointwise", "depthwise", "conv", "se", "add", f"pointwise{UNFUSED}", f"depthwise{UNFUSED}")
# MACs beside ms: what a kernel computes stays in a network, what surrounds it in isolation does not.
FEATURES = (*(f"{kind}_ms" for kind in KINDS), "other_ms", "nodes", "megabytes", "megamacs")
# What few networks leave undecided: an op in a network takes about 80 % of its time alone, and nothing else counts.
TIMES = len(KINDS) + 1  # the features that are times; an op has one of them
PRIOR = np.array([0.8] * TIMES + [0.0, 0.0, 0.0])
# Bytes that a large op moves: more than the caches of one core, which are of 1 to 2 MB on most devices.
LARGE_BYTES = 2e6
# The share of unseen networks that the interval holds.
COVERAGE = 0.90
# Half the width of the interval that a table of a quiet machine gives, as a share: that of the tables that are shipped.
QUIET_MARGIN = 0.035
# With fewer networks the prior stands alone: there are more coefficients than that.
ENOUGH_NETS = 8


def features(key: str, ms: float, moved_bytes: float, macs: float) -> np.ndarray:
    """Return the additive features (len(FEATURES),) of one node.

    Args:
        key: of its op, as tables name it.
        ms: the op's time alone.
        moved_bytes: read and written, parameters included.
        macs: of the op.
    """
    row = np.zeros(len(FEATURES))
    row[feature_index(key)] = ms
    row[-3:] = 1.0, moved_bytes / 1e6, macs / 1e6
    return row


def feature_index(key: str) -> int:
    """Return the index of an op's kind among the features: its place in KINDS, or the one after them."""
    kind = op_kind(key)
    kind = kind + UNFUSED if is_unfused(key) and kind + UNFUSED in KINDS else kind
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def network_features(nodes: np.ndarray) -> np.ndarray:
    """Return the features (len(FEATURES) + TIMES,) of a network: sums over its nodes, the times of large ops last.

    Args:
        nodes: features (n, len(FEATURES)) of its nodes.
    """
    total = nodes.sum(axis=0)
    large = nodes[_is_large(nodes), :TIMES].sum(axis=0)
    total[:TIMES] -= large
    return np.concatenate([total, large])


def _is_large(nodes: np.ndarray) -> np.ndarray:
    """Tell of each node (n,) whether its op moves more than caches hold; `nodes` are features (n, len(FEATURES))."""
    large: np.ndarray = nodes[:, -2] > LARGE_BYTES / 1e6
    return large


@dataclass(frozen=True)
class Correction:
    """latency_ms = intercept + coefficients . features, within `margin` (relative) for 90 % of unseen networks.

    Args:
        coefficients: (len(FEATURES),).
        intercept: in ms.
        margin: relative half width of the interval.
        nets: how many networks it is fitted on.
        ms_per_megamac: the usual rate of these networks, what MACs alone would say; 0 if there were none.
        large: coefficients (TIMES,) of the times of large ops; empty where they are those of small ops.
        estimated_share: the part of these networks' time alone that is of estimated rows, 0 to 1.
    """

    coefficients: tuple[float, ...]
    intercept: float
    margin: float
    nets: int
    ms_per_megamac: float = 0.0
    large: tuple[float, ...] = ()
    estimated_share: float = 0.0

    def node_costs(self, nodes: np.ndarray) -> np.ndarray:
        """Return the ms (n,) of nodes, without the intercept.

        Args:
            nodes: their features (n, len(FEATURES)).
        """
        coefficients = np.array(self.coefficients)
        costs: np.ndarray = nodes @ coefficients
        if self.large:
            large = _is_large(nodes)
            costs[large] = nodes[large] @ np.append(self.large, coefficients[TIMES:])
        return costs

    @property
    def unanswered(self) -> float:
        """Return the part of the error of estimates that `margin` does not answer for, 0 to 1.

        The networks that it is fitted on were predicted with estimates as well: where half of their time is estimated,
        the residuals hold what estimates add.
        """
        return max(0.0, 1 - 2 * self.estimated_share)

    @property
    def approximate(self) -> bool:
        """Tell whether fewer than 100 networks stand behind the interval."""
        return self.nets < 100

    def describe(self) -> Mapping[str, float]:
        """Return the coefficients by feature."""
        large = {f"large {name}": value for name, value in zip(FEATURES, self.large, strict=False)}
        return {**dict(zip(FEATURES, self.coefficients, strict=True)), **large, "intercept_ms": self.intercept}


def margin_at(repeat_error: float) -> float:
    """Return about how wide a table's interval will be to either side, as a share, if its figures repeat so well.

    What the correction misses and what a figure is off add as independent errors do. Two halves of the rounds differ by
    a repeat error about as often as one figure is off by it in nine cases of ten.

    >>> round(margin_at(0.01), 3), round(margin_at(0.08), 3)
    (0.036, 0.087)
    """
    return float(np.hypot(QUIET_MARGIN, repeat_error))


def fit_correction(rows: Sequence[np.ndarray], ms: Sequence[float]) -> Correction:
    """Fit a correction on whole networks.

    It is least squares on relative errors with a pull towards the prior. Its strength is the one with the least
    leave-one-out error, and these errors give the interval (jackknife, arXiv:1905.02928, on relative residuals).

    Args:
        rows: features of each network, as `network_features` returns them; or (len(FEATURES),) without large ops.
        ms: measured latency of each network.
    """
    x, y = np.array(rows, dtype=float).reshape(len(ms), -1 if len(ms) else len(FEATURES)), np.array(ms, dtype=float)
    rate = float(np.median(y / x[:, len(FEATURES) - 1])) if len(y) else 0.0
    if len(y) < ENOUGH_NETS:
        return Correction(tuple(PRIOR.tolist()), 0.0, 0.5, len(y), rate)
    # Of networks whose large ops are known, the strength is judged by those that the interval holds: the smallest
    # network of a space is like no other, and its error, when it is left out, would choose the strength for all.
    rank = min(len(y), int(np.ceil((len(y) + 1) * COVERAGE)))  # the conformal one: one network more than were measured
    judged = rank if x.shape[1] > len(FEATURES) else len(y)
    # Kinds of which no network has a large op have no coefficient for it.
    large = [i for i in range(TIMES) if x[:, len(FEATURES) + i : len(FEATURES) + i + 1].any()]
    x = np.ascontiguousarray(x[:, [*range(len(FEATURES)), *(len(FEATURES) + i for i in large)]])
    scale = np.median(y)
    best: tuple[float, float, float] | None = None
    # From hardly any pull to nearly the prior alone.
    for strength in (0.003, 0.01, 0.03, 0.1, 0.3):
        residuals = np.sort(_leave_one_out(x, y, strength, scale))
        error = float(residuals[:judged].mean())
        if best is None or error < best[0]:
            best = error, strength, float(residuals[rank - 1])
    assert best is not None
    solution, margin = _solve(x, y, best[1], scale), best[2]
    coefficients = solution[: len(FEATURES)].tolist()
    of_large = dict(zip(large, solution[len(FEATURES) : -1].tolist(), strict=True))
    times = tuple(of_large.get(i, coefficients[i]) for i in range(TIMES)) if large else ()
    return Correction(tuple(coefficients), float(solution[-1]), margin, len(y), rate, times)


def _leave_one_out(x: np.ndarray, y: np.ndarray, strength: float, scale: float) -> np.ndarray:
    """Return the relative error (n,) of each network, predicted from all others."""
    errors = np.empty(len(y))
    for i in range(len(y)):
        others = np.arange(len(y)) != i
        solution = _solve(x[others], y[others], strength, scale)
        errors[i] = abs((x[i] @ solution[:-1] + solution[-1]) / y[i] - 1)
    return errors


def _solve(x: np.ndarray, y: np.ndarray, strength: float, scale: float) -> np.ndarray:
    """Solve for coefficients (>= 0) and intercept (free): least relative squares with a ridge around the prior.

    The pull is measured in ms of a typical network, so that it is equally strong for every feature.
    """
    from scipy.optimize import lsq_linear

    # Dividing by y makes errors relative: a network of 1 ms counts as much as one of 50.
    design = np.column_stack([x, np.ones(len(y))]) / y[:, None]
    # The intercept may stray by about a fifth of a typical network.
    typical = np.append(x.mean(axis=0), scale * 0.2) / scale
    pull = strength * np.sqrt(len(y)) * np.diag(typical)
    prior = np.concatenate([PRIOR, np.full(x.shape[1] - len(FEATURES), PRIOR[0]), [0.0]])
    lower = np.append(np.zeros(x.shape[1]), -np.inf)
    result = lsq_linear(
        np.vstack([design, pull]),
        np.concatenate([np.ones(len(y)), pull @ prior]),
        bounds=(lower, np.inf),
        method="bvls",
    )
    return np.asarray(result.x)
