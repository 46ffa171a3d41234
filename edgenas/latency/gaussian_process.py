"""Latencies of one device from some measured networks of it: a Gaussian process whose kernels are sums over features.

Each group of features (counts of ops, one-hot choices, ...) brings a linear kernel, for what adds up, and a radial one,
for what does not. How much of each the measured latencies show is fitted by restricted maximum likelihood with
multiplicative steps in closed form, which never lower the likelihood (Zhou et al., 2019, arXiv:1509.07426). Noise is
Student's t: one sample that a busy device spoilt must not bend the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Degrees of freedom of the noise: heavy tails, and still a finite variance.
FREEDOM = 4.0
# Steps of the variances before and after each reweighting of the measurements.
STEPS, REWEIGHTINGS = 20, 2
# Measurements that the variances are fitted on: a step costs their cube.
MOST_FOR_VARIANCES = 250
# Relative differences below it are rounding.
ROUNDING = 1e-9
# The least noise, as a share of the targets' variance: it keeps exact data solvable.
LEAST_NOISE = 1e-8
# The share of unseen networks that the margin holds.
COVERAGE = 0.90
# Rows predicted at once: more kernels than that at a time would fill the memory.
BLOCK = 2048


@dataclass(frozen=True)
class Group:
    """Brings features (n, p) to mean 0 and mean squared length 1, as over those it was fitted on."""

    centre: np.ndarray
    length: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return scaled features (n, p)."""
        scaled: np.ndarray = (features - self.centre) / self.length
        return scaled


def fit_group(features: np.ndarray) -> Group:
    """Fit the scale of a group; features that never differ keep their length."""
    centre = np.mean(features, axis=0, dtype=float)
    length = float(np.sqrt(np.mean(np.sum((features - centre) ** 2, axis=1))))
    differs = length > ROUNDING * float(np.sqrt(np.sum(centre**2)))
    return Group(centre, length if differs else 1.0)


@dataclass(frozen=True)
class GaussianProcess:
    """Predicts ms from groups of features, within `margin` (relative) for 90 % of unseen networks."""

    groups: tuple[Group, ...]
    measured: tuple[np.ndarray, ...]
    variances: np.ndarray
    mean: float
    dual: np.ndarray
    floor: float
    margin: float

    def __call__(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Return latencies (n,) in ms of networks with these features, group by group (n, p); none is negative."""
        scaled = [group(x) for group, x in zip(self.groups, features, strict=True)]
        ms = np.empty(len(scaled[0]))
        for start in range(0, len(ms), BLOCK):
            block = slice(start, start + BLOCK)
            kernels = _kernels([x[block] for x in scaled], self.measured)
            ms[block] = self.mean + _weighted(self.variances[:-1], kernels) @ self.dual
        return np.maximum(ms, self.floor)


def fit_process(features: Sequence[np.ndarray], ms: np.ndarray) -> GaussianProcess:
    """Fit a process on measured networks, up to thousands of them.

    The margin is that of each measurement predicted from all others (jackknife, arXiv:1905.02928).

    Args:
        features: of each network, group by group (n, p).
        ms: latencies (n,).
    """
    groups = tuple(fit_group(x) for x in features)
    scaled = tuple(group(x) for group, x in zip(groups, features, strict=True))
    kernels = _kernels(scaled, scaled)
    variances, trust = _fit_robustly(kernels, ms)
    inverse, projection = _precision(kernels, variances, trust)
    dual = projection @ ms
    # Residuals of each measurement, predicted from the others, without a fit for each: Rasmussen and Williams (2006),
    # equation 5.12, here with the mean estimated from the others as well.
    residuals = dual / np.diag(projection)
    floor = 0.5 * float(np.min(ms))
    relative = np.sort(np.abs(residuals) / np.maximum(ms - residuals, floor))
    rank = min(len(ms), int(np.ceil((len(ms) + 1) * COVERAGE)))
    mean = float(inverse.sum(axis=0) @ ms / inverse.sum())
    return GaussianProcess(groups, scaled, variances, mean, dual, floor, float(relative[rank - 1]))


def fit_variances(
    kernels: Sequence[Sequence[np.ndarray]],
    targets: Sequence[np.ndarray],
    trust: Sequence[np.ndarray] | None = None,
    start: np.ndarray | None = None,
    steps: int = STEPS,
) -> np.ndarray:
    """Fit the variances (m + 1,) of m kernels and of the noise, shared by several data sets with a mean each.

    Args:
        kernels: of each data set, m of shape (n, n).
        targets: of each data set (n,).
        trust: of each data set (n,); the noise of a target is the noise's variance over it. By default 1.
        start: variances to begin with; by default equal ones.
        steps: how many times they are improved.
    """
    trust = [np.ones(len(y)) for y in targets] if trust is None else trust
    total = float(np.mean([np.var(y) + (ROUNDING * np.mean(y)) ** 2 for y in targets]))
    variances = np.full(len(kernels[0]) + 1, total / (len(kernels[0]) + 1)) if start is None else start.copy()
    for _ in range(steps):
        explained, expected = np.zeros(len(variances)), np.zeros(len(variances))
        for each, y, weights in zip(kernels, targets, trust, strict=True):
            _, projection = _precision(each, variances, weights)
            dual = projection @ y
            explained += [*(dual @ k @ dual for k in each), dual @ (dual / weights)]
            expected += [*(np.sum(projection * k) for k in each), np.sum(np.diag(projection) / weights)]
        # A kernel of features that never differ says nothing: it stays.
        seen = expected > ROUNDING * expected.max()
        ratios = np.maximum(explained, 0.0)[seen] / expected[seen]
        variances[seen] *= np.sqrt(ratios)
        variances[-1] = max(variances[-1], LEAST_NOISE * total)
    return variances


def _fit_robustly(kernels: Sequence[np.ndarray], ms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the variances, and the trust (n,) in each measurement by how well the others predict it: EM for t noise."""
    part = np.unique(np.linspace(0, len(ms) - 1, min(len(ms), MOST_FOR_VARIANCES)).astype(int))
    parts, trust = [[k[np.ix_(part, part)] for k in kernels]], np.ones(len(ms))
    variances = fit_variances(parts, [ms[part]])
    for _ in range(REWEIGHTINGS):
        _, projection = _precision(kernels, variances, trust)
        trust = _trust(projection @ ms / np.sqrt(np.diag(projection)))
        variances = fit_variances(parts, [ms[part]], [trust[part]], start=variances)
    return variances, trust


def _kernels(x: Sequence[np.ndarray], z: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return linear and radial kernels (n, m) of the groups; squared distances average 2, the radial kernel's width."""
    linear = [a @ b.T for a, b in zip(x, z, strict=True)]
    lengths = [(np.sum(a**2, axis=1), np.sum(b**2, axis=1)) for a, b in zip(x, z, strict=True)]
    # Rounding may make the squared distance of equal rows negative.
    radial = [np.exp(np.minimum(0.0, k - (a[:, None] + b) / 2)) for k, (a, b) in zip(linear, lengths, strict=True)]
    return linear + radial


def _weighted(variances: np.ndarray, kernels: Sequence[np.ndarray]) -> np.ndarray:
    total: np.ndarray = sum((v * k for v, k in zip(variances, kernels, strict=True)), np.zeros(kernels[0].shape))
    return total


def _precision(
    kernels: Sequence[np.ndarray], variances: np.ndarray, trust: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse covariance (n, n), and the same with the unknown mean projected out."""
    inverse = np.linalg.inv(_weighted(variances[:-1], kernels) + np.diag(variances[-1] / trust))
    ones = inverse.sum(axis=0)
    return inverse, inverse - np.outer(ones, ones) / ones.sum()


def _trust(residuals: np.ndarray) -> np.ndarray:
    """Return the weight (n,) of each measurement under t noise, by its standardised residual; at most 1."""
    scale = max(float(np.median(np.abs(residuals))) / 0.6745, 1e-12)  # the median of a standard normal's magnitude
    return np.minimum(1.0, (FREEDOM + 1) / (FREEDOM + (residuals / scale) ** 2))
