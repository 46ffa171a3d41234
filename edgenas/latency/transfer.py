"""A new device from few probes: which items to measure there, and every other item from those and source devices.

An item is an op or a whole network; source devices give a matrix of its latencies. On a new device, latencies are a
constant, plus a combination of the source devices' columns, plus a combination of the items' features (counts of ops):
Bayesian linear regression in closed form. How far each part may stray, the noise, whether errors count in ms or
relative to an item's typical latency, and by which criterion probes are chosen: these constants come from the source
devices alone, each taken for the new one in turn. All results scale with the new device's unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.errors import UsageError
from edgenas.latency.gaussian_process import COVERAGE, fit_group, fit_variances

# How many items a new device is asked for by default.
PROBES = 10
# Fewer leave nothing to tell a device's unit from its scale by.
LEAST_PROBES = 3
# A step on the variances costs the cube of the items; a trial of constants costs their number.
ITEMS_FOR_VARIANCES, STEPS, ITEMS_TRIED = 100, 30, 2000
# Whether errors count in ms, or relative to an item's typical latency.
POWERS = (0.0, 1.0)
# Criteria of optimal design: least variance of all items, or of the coefficients.
CRITERIA = ("V", "D")
# Relative; they stand where there is nothing to try constants on.
UNTRIED_DEVIATION, UNTRIED_NOISE, UNTRIED_MARGIN = 0.3, 0.1, 0.5
# The noise of the source devices counts for as much as this many probes.
BELIEF = 4.0
# No prediction is below this share of the typical latency.
LEAST_SHARE = 0.05
# The least variance, as a share of the largest group's: what no source device shows, the next one may.
LEAST_VARIANCE = 0.1
# The standard deviation of the unknown constant, in typical latencies: as good as infinite.
FREE = 100.0
# Below this share of the median item errors count in ms even where those of larger items are relative.
SMALL = 0.1

Loss = Callable[[np.ndarray, np.ndarray], float]  # called with predicted and measured ms


@dataclass(frozen=True)
class Constants:
    """What the source devices teach; variances are in units of typical latency, scaled by its `power`.

    `variances` (m,) are those of the source devices' columns and of each feature group, `noise` that of what none
    explains; `half_width` is that of the 90 % interval in predicted standard deviations, `loss` the mean loss on the
    source devices.
    """

    power: float
    criterion: str
    variances: np.ndarray
    noise: float
    half_width: float
    loss: float


@dataclass(frozen=True)
class Prior:
    """Items before a new device is measured: typical latency and scale (n,), regressors (n, p) of prior variance 1."""

    constants: Constants
    typical: np.ndarray
    level: np.ndarray
    regressors: np.ndarray


@dataclass(frozen=True)
class Adapted:
    """Latencies (n,) of every item in ms, and the relative half width (n,) of their 90 % intervals."""

    ms: np.ndarray
    margin: np.ndarray


def relative_error(predicted: np.ndarray, ms: np.ndarray) -> float:
    """Return the mean relative error; none counts for more than 100 %, as an item of almost no time has a huge one.

    Args:
        predicted: latencies (n,) in ms.
        ms: measured latencies (n,).
    """
    return float(np.mean(np.minimum(np.abs(predicted / ms - 1), 1.0)))


def rank_error(predicted: np.ndarray, ms: np.ndarray) -> float:
    """Return 1 - Spearman's rank correlation; ties keep their order.

    Args:
        predicted: latencies (n,) in ms.
        ms: measured latencies (n,).
    """
    first, second = (np.argsort(np.argsort(x, kind="stable")) for x in (predicted, ms))
    return 1.0 - float(np.corrcoef(first, second)[0, 1])


def fit_prior(
    source_ms: np.ndarray,
    features: Sequence[np.ndarray] = (),
    probes: int = PROBES,
    loss: Loss = relative_error,
) -> Prior:
    """Fit a prior on source devices.

    The constants are those of least mean loss over the source devices, each adapted to from the others.

    Args:
        source_ms: latencies (n, d) of n items on d source devices.
        features: of the items, group by group (n, p).
        probes: how many items each of them is adapted by.
        loss: called with predicted and measured ms.

    Raises:
        UsageError: no device, too few items, or a latency that is not a positive number.
    """
    source_ms = np.asarray(source_ms, dtype=float)
    shape = source_ms.shape
    if len(shape) != 2 or shape[1] < 1 or shape[0] < LEAST_PROBES:
        raise UsageError(f"adapting needs {LEAST_PROBES} items or more, measured on source devices: got {shape}")
    if not (np.isfinite(source_ms) & (source_ms > 0)).all():
        raise UsageError("adapting needs a latency above 0 ms of every item on every source device")
    if shape[1] == 1 or shape[0] <= probes:
        return _prior(source_ms, features, _untried(features))
    some = _evenly((source_ms / np.median(source_ms, axis=0)).mean(axis=1), ITEMS_TRIED)
    tried = _try(source_ms[some], [np.asarray(x)[some] for x in features], probes, loss)
    return _prior(source_ms, features, min(tried, key=lambda constants: constants.loss))


def choose(prior: Prior, count: int = PROBES, allowed: np.ndarray | None = None) -> np.ndarray:
    """Choose the items that tell most about a new device, greedily; return their indices, best first.

    Each lowers most the variance of all items together (V-optimal), or is the one whose own variance is largest once
    the earlier ones are measured (D-optimal; a pivoted Cholesky factorisation), as the prior's criterion says.

    Args:
        prior: of the items.
        count: how many to choose.
        allowed: indices of the items that may be measured, by default all.
    """
    allowed = np.arange(len(prior.regressors)) if allowed is None else np.asarray(allowed)
    # The unknown constant is one more regressor, of nearly infinite prior variance.
    every = np.column_stack([prior.regressors, np.full(len(prior.regressors), FREE)])
    gram, rows, noise = every.T @ every, every[allowed], prior.constants.noise
    covariance = np.eye(rows.shape[1])
    chosen: list[int] = []
    for _ in range(min(count, len(allowed))):
        projected = rows @ covariance
        variance = np.sum(projected * rows, axis=1)
        explained = np.sum((projected @ gram) * projected, axis=1)  # squared covariance with all items, summed
        gain = variance if prior.constants.criterion == "D" else explained / (variance + noise)
        gain[chosen] = -np.inf  # measuring an item twice would tell of noise only
        best = int(np.argmax(gain))
        chosen.append(best)
        covariance = covariance - np.outer(projected[best], projected[best]) / (variance[best] + noise)
    return allowed[chosen]


def adapt(prior: Prior, measured: Mapping[int, float]) -> Adapted:
    """Predict every item on a new device from the few measured there.

    Args:
        prior: of the items.
        measured: ms by the item's index.

    Raises:
        UsageError: fewer than three items, or one without a latency above 0.
    """
    index = np.fromiter(measured, dtype=int)
    ms = np.array([measured[i] for i in index], dtype=float)
    if len(index) < LEAST_PROBES or not (np.isfinite(ms) & (ms > 0)).all():
        raise UsageError(f"adapting needs {LEAST_PROBES} probes or more above 0 ms, got {len(index)}; measure more")
    # How much slower than typical the new device is; all else is learned in this unit.
    unit = float(np.median(ms / prior.typical[index]))
    mean, deviation = _posterior(prior, index, ms / unit / prior.level[index])
    least = LEAST_SHARE * prior.typical
    predicted = np.maximum(mean * prior.level, least)
    return Adapted(unit * predicted, prior.constants.half_width * deviation * prior.level / predicted)


def _prior(source_ms: np.ndarray, features: Sequence[np.ndarray], constants: Constants) -> Prior:
    typical, level, groups = _groups(source_ms, features, constants.power)
    regressors = np.hstack([np.sqrt(v) * g for v, g in zip(constants.variances, groups, strict=True)])
    return Prior(constants, typical, level, regressors)


def _groups(
    source_ms: np.ndarray, features: Sequence[np.ndarray], power: float
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return typical latency and scale (n,), and regressors (n, p) by group: source devices' columns, then features."""
    columns = source_ms / np.median(source_ms, axis=0)
    typical = columns.mean(axis=1)
    level = (typical + SMALL) ** power
    groups = [np.asarray(x, dtype=float) / level[:, None] for x in (columns, *features)]
    return typical, level, [fit_group(x)(x) for x in groups]


def _posterior(prior: Prior, index: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (n,) of every item, with a free constant, from some of them.

    The scale of all variances is learned too: the prior's, which counts as BELIEF probes do, and the probes' own.
    """
    noise, rows = prior.constants.noise, prior.regressors[index]
    inverse = np.linalg.inv(rows @ rows.T + noise * np.eye(len(index)))
    ones = inverse.sum(axis=0)
    constant = float(ones @ target / ones.sum())
    cross = prior.regressors @ rows.T
    dual = inverse @ (target - constant)
    scale = (BELIEF + (target - constant) @ dual) / (BELIEF + len(index) - 1)
    explained = np.sum((cross @ inverse) * cross, axis=1)
    shift = (1 - cross @ ones) ** 2 / ones.sum()
    variance = np.sum(prior.regressors**2, axis=1) - explained + shift + noise
    return constant + cross @ dual, np.sqrt(scale * np.maximum(variance, noise))


def _try(source_ms: np.ndarray, features: Sequence[np.ndarray], probes: int, loss: Loss) -> Iterator[Constants]:
    """Try every power and criterion: adapt to each source device from the others and the probes chosen for it."""
    for power in POWERS:
        *variances, noise = _variances(source_ms, features, power)
        constants = Constants(power, "", np.array(variances), float(noise), 1.0, 0.0)
        priors = [_prior(others, features, constants) for others in _held_out(source_ms)]
        for criterion in CRITERIA:
            constants = replace(constants, criterion=criterion)
            losses, surprises = [], []
            for prior, ms in zip(priors, source_ms.T, strict=True):
                chosen = choose(replace(prior, constants=constants), probes)
                guess = adapt(prior, {int(i): float(ms[i]) for i in chosen})
                unseen = np.setdiff1d(np.arange(len(ms)), chosen)
                losses.append(loss(guess.ms[unseen], ms[unseen]))
                surprises.append((np.abs(ms / guess.ms - 1) / guess.margin)[unseen])
            half_width = float(np.quantile(np.concatenate(surprises), COVERAGE))
            yield replace(constants, half_width=half_width, loss=float(np.mean(losses)))


def _held_out(source_ms: np.ndarray) -> list[np.ndarray]:
    """Return the columns of all other devices (n, d - 1), device by device."""
    return [np.delete(source_ms, device, axis=1) for device in range(source_ms.shape[1])]


def _variances(source_ms: np.ndarray, features: Sequence[np.ndarray], power: float) -> np.ndarray:
    """Fit the variances of the groups and of the noise (m + 1,), on items evenly over the typical latency."""
    kernels, targets = [], []
    for others, ms in zip(_held_out(source_ms), source_ms.T, strict=True):
        typical, level, groups = _groups(others, features, power)
        some = _evenly(typical, ITEMS_FOR_VARIANCES)
        unit = np.median(ms[some] / typical[some])
        kernels.append([x[some] @ x[some].T for x in groups])
        targets.append(ms[some] / unit / level[some])
    variances = fit_variances(kernels, targets, steps=STEPS)
    variances[:-1] = np.maximum(variances[:-1], LEAST_VARIANCE * variances[:-1].max())
    return variances


def _evenly(values: np.ndarray, most: int) -> np.ndarray:
    """Return indices of at most `most` items, evenly over their ranks."""
    order = np.argsort(values, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).astype(int))
    return np.asarray(order[places])


def _untried(features: Sequence[np.ndarray]) -> Constants:
    """Return constants for where one source device, or no item beside the probes, leaves nothing to try them on."""
    variances = np.full(1 + len(features), UNTRIED_DEVIATION**2)
    half_width = UNTRIED_MARGIN / np.hypot(UNTRIED_DEVIATION, UNTRIED_NOISE)
    return Constants(POWERS[-1], CRITERIA[0], variances, UNTRIED_NOISE**2, float(half_width), float("inf"))
