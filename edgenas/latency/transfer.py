"""A new device from few probes: which items to measure there, and every other item from those and known devices.

An item is an op or a whole network; known devices give a matrix of its latencies. On a new device, latencies are a
constant, plus a combination of the known devices' columns, plus a combination of the items' features (counts of ops):
Bayesian linear regression in closed form. How far each part may stray, the noise, whether errors count in ms or
relative to an item's typical latency, and by which criterion probes are chosen: these constants come from the known
devices alone, each taken for the new one in turn. All results scale with the new device's unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.errors import UsageError
from edgenas.latency.gaussian_process import COVERAGE, fit_group, fit_variances

PROBES = 10
LEAST_PROBES = 3
ITEMS_FOR_VARIANCES, STEPS, ITEMS_TRIED = 100, 30, 2000
POWERS = (0.0, 1.0)
CRITERIA = ("V", "D")  # of optimal design: least variance of all items, or of the coefficients
UNTRIED_DEVIATION, UNTRIED_NOISE, UNTRIED_MARGIN = 0.3, 0.1, 0.5  # relative; where there is nothing to try them on
BELIEF = 4.0  # probes that the noise of the known devices counts for
LEAST_SHARE = 0.05  # of the typical latency: a prediction is never below
LEAST_VARIANCE = 0.1  # of the largest group's: what no known device shows, the next one may
FREE = 100.0  # standard deviation of the unknown constant, in typical latencies: none to speak of
SMALL = 0.1  # of the median item: below, errors count in ms even where larger items' are relative

Loss = Callable[[np.ndarray, np.ndarray], float]  # of predicted and measured ms


@dataclass(frozen=True)
class Constants:
    """What the known devices teach; variances are in units of typical latency, scaled by its `power`.

    `variances` (m,) of known columns and of each feature group, `noise` of what none explains; `spread` is the half
    width of the 90 % interval in predicted standard deviations, `loss` what they cost on the known devices.
    """

    power: float
    criterion: str
    variances: np.ndarray
    noise: float
    spread: float
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
    """Mean relative error; none counts for more than 100 %: an item of almost no time has none to speak of."""
    return float(np.mean(np.minimum(np.abs(predicted / ms - 1), 1.0)))


def rank_error(predicted: np.ndarray, ms: np.ndarray) -> float:
    """1 - Spearman's rank correlation; ties keep their order."""
    first, second = (np.argsort(np.argsort(x, kind="stable")) for x in (predicted, ms))
    return 1.0 - float(np.corrcoef(first, second)[0, 1])


def fit_prior(
    known: np.ndarray,
    features: Sequence[np.ndarray] = (),
    probes: int = PROBES,
    loss: Loss = relative_error,
) -> Prior:
    """From latencies (n, d) of n items on d known devices and the items' features, group by group (n, p).

    The constants are those of least mean loss over the known devices, each adapted to from the others by `probes`.

    Raises:
        UsageError: no device, too few items, or a latency that is not a positive number.
    """
    known = np.asarray(known, dtype=float)
    if known.ndim != 2 or known.shape[1] < 1 or len(known) < LEAST_PROBES:
        raise UsageError(f"adapting needs {LEAST_PROBES} items or more, measured on known devices: got {known.shape}")
    if not (np.isfinite(known) & (known > 0)).all():
        raise UsageError("adapting needs a latency above 0 ms of every item on every known device")
    if known.shape[1] == 1 or len(known) <= probes:
        return _prior(known, features, _untried(features))
    some = _spread((known / np.median(known, axis=0)).mean(axis=1), ITEMS_TRIED)
    tried = _try(known[some], [np.asarray(x)[some] for x in features], probes, loss)
    return _prior(known, features, min(tried, key=lambda constants: constants.loss))


def choose(prior: Prior, count: int = PROBES, allowed: np.ndarray | None = None) -> np.ndarray:
    """Indices of the items that tell most about a new device, best first, greedily.

    Each lowers most the variance of all items together (V-optimal), or is the one whose own variance is largest once
    the earlier ones are measured (D-optimal; a pivoted Cholesky factorisation), as the prior's criterion says.
    `allowed` indices may be measured, by default all.
    """
    allowed = np.arange(len(prior.regressors)) if allowed is None else np.asarray(allowed)
    every = np.column_stack([prior.regressors, np.full(len(prior.regressors), FREE)])
    gram, rows, noise = every.T @ every, every[allowed], prior.constants.noise
    covariance = np.eye(rows.shape[1])
    chosen: list[int] = []
    for _ in range(min(count, len(allowed))):
        reach = rows @ covariance
        variance = np.sum(reach * rows, axis=1)
        explained = np.sum((reach @ gram) * reach, axis=1)  # squared covariance with all items, summed
        gain = variance if prior.constants.criterion == "D" else explained / (variance + noise)
        gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        chosen.append(best)
        covariance = covariance - np.outer(reach[best], reach[best]) / (variance[best] + noise)
    return allowed[chosen]


def adapt(prior: Prior, measured: Mapping[int, float]) -> Adapted:
    """Every item on a new device from the few measured there: item index to ms.

    Raises:
        UsageError: fewer than three items, or one without a latency above 0.
    """
    index = np.fromiter(measured, dtype=int)
    ms = np.array([measured[i] for i in index], dtype=float)
    if len(index) < LEAST_PROBES or not (np.isfinite(ms) & (ms > 0)).all():
        raise UsageError(f"adapting needs {LEAST_PROBES} probes or more above 0 ms, got {len(index)}; measure more")
    unit = float(np.median(ms / prior.typical[index]))
    mean, deviation = _posterior(prior, index, ms / unit / prior.level[index])
    least = LEAST_SHARE * prior.typical
    predicted = np.maximum(mean * prior.level, least)
    return Adapted(unit * predicted, prior.constants.spread * deviation * prior.level / predicted)


def _prior(known: np.ndarray, features: Sequence[np.ndarray], constants: Constants) -> Prior:
    typical, level, groups = _groups(known, features, constants.power)
    regressors = np.hstack([np.sqrt(v) * g for v, g in zip(constants.variances, groups, strict=True)])
    return Prior(constants, typical, level, regressors)


def _groups(
    known: np.ndarray, features: Sequence[np.ndarray], power: float
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Typical latency and scale (n,), and the regressors (n, p) by group: known devices' columns, then features."""
    columns = known / np.median(known, axis=0)
    typical = columns.mean(axis=1)
    level = (typical + SMALL) ** power
    groups = [np.asarray(x, dtype=float) / level[:, None] for x in (columns, *features)]
    return typical, level, [fit_group(x)(x) for x in groups]


def _posterior(prior: Prior, index: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (n,) of every item, with a free constant, from some of them.

    The scale of all variances is learned too: the prior's, as so many probes' worth of belief, and the probes' own.
    """
    noise, rows = prior.constants.noise, prior.regressors[index]
    inverse = np.linalg.inv(rows @ rows.T + noise * np.eye(len(index)))
    ones = inverse.sum(axis=0)
    constant = float(ones @ target / ones.sum())
    cross = prior.regressors @ rows.T
    dual = inverse @ (target - constant)
    scale = (BELIEF + (target - constant) @ dual) / (BELIEF + len(index) - 1)
    known = np.sum((cross @ inverse) * cross, axis=1)
    shift = (1 - cross @ ones) ** 2 / ones.sum()
    variance = np.sum(prior.regressors**2, axis=1) - known + shift + noise
    return constant + cross @ dual, np.sqrt(scale * np.maximum(variance, noise))


def _try(known: np.ndarray, features: Sequence[np.ndarray], probes: int, loss: Loss) -> Iterator[Constants]:
    """Every power and criterion: each known device is adapted to from the others and the probes chosen for it."""
    for power in POWERS:
        *variances, noise = _variances(known, features, power)
        constants = Constants(power, "", np.array(variances), float(noise), 1.0, 0.0)
        priors = [_prior(others, features, constants) for others in _held_out(known)]
        for criterion in CRITERIA:
            constants = replace(constants, criterion=criterion)
            losses, surprises = [], []
            for prior, ms in zip(priors, known.T, strict=True):
                chosen = choose(replace(prior, constants=constants), probes)
                guess = adapt(prior, {int(i): float(ms[i]) for i in chosen})
                unseen = np.setdiff1d(np.arange(len(ms)), chosen)
                losses.append(loss(guess.ms[unseen], ms[unseen]))
                surprises.append((np.abs(ms / guess.ms - 1) / guess.margin)[unseen])
            spread = float(np.quantile(np.concatenate(surprises), COVERAGE))
            yield replace(constants, spread=spread, loss=float(np.mean(losses)))


def _held_out(known: np.ndarray) -> list[np.ndarray]:
    """The columns of all other devices (n, d - 1), device by device."""
    return [np.delete(known, device, axis=1) for device in range(known.shape[1])]


def _variances(known: np.ndarray, features: Sequence[np.ndarray], power: float) -> np.ndarray:
    """Variance of each group and of the noise (m + 1,), on items spread evenly over the typical latency."""
    kernels, targets = [], []
    for others, ms in zip(_held_out(known), known.T, strict=True):
        typical, level, groups = _groups(others, features, power)
        some = _spread(typical, ITEMS_FOR_VARIANCES)
        unit = np.median(ms[some] / typical[some])
        kernels.append([x[some] @ x[some].T for x in groups])
        targets.append(ms[some] / unit / level[some])
    variances = fit_variances(kernels, targets, steps=STEPS)
    variances[:-1] = np.maximum(variances[:-1], LEAST_VARIANCE * variances[:-1].max())
    return variances


def _spread(values: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most so many items, evenly over their ranks."""
    order = np.argsort(values, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).astype(int))
    return np.asarray(order[places])


def _untried(features: Sequence[np.ndarray]) -> Constants:
    """Constants where one known device, or no item beside the probes, leaves nothing to try them on."""
    variances = np.full(1 + len(features), UNTRIED_DEVIATION**2)
    spread = UNTRIED_MARGIN / np.hypot(UNTRIED_DEVIATION, UNTRIED_NOISE)
    return Constants(POWERS[-1], CRITERIA[0], variances, UNTRIED_NOISE**2, float(spread), float("inf"))
