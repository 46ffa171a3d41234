"""Quality from the options of an architecture, their pairs and triples: an ensemble of ridge models in closed form.

Columns would run into the tens of thousands, so all is in dual form: two architectures that agree in m choices share m
options, m (m - 1) / 2 pairs and m (m - 1) (m - 2) / 6 triples of options. Choices with the same options also share what
they learn, through how often each option occurs. Choices that are not active agree where both are absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.strategies.predictors.interface import ABSENT, active_options, normal_scores

# Shares of variance of each member: options, pairs, triples, occurrences, pairs of occurrences.
KERNEL_WEIGHTS = (
    (1.0, 0.0, 0.0, 0.0, 0.0),
    (1.0, 1.0, 0.0, 0.0, 0.0),
    (1.0, 1.0, 1.0, 1.0, 1.0),
    (0.3, 0.3, 0.0, 1.0, 1.0),
    (0.3, 0.3, 1.0, 1.0, 3.0),
)
STRENGTHS = 10.0 ** np.arange(-3.0, 2.1, 0.25)  # noise over mean variance
MOST_COMPARED = 300  # labels that members are compared on: an eigendecomposition costs their cube
LEAST_WEIGHT = 0.02  # members of less are left out
TINY = 1e-12  # keeps quotients of errors finite where a label is predicted exactly
ROUNDING = 1e-5  # of kernels in single precision


@dataclass(frozen=True)
class Ridge:
    """Ridge regression on a kernel whose features have mean 0 over the labels, in its eigenvectors (n, n).

    `variance` is of one unit of kernel; `strength` is the noise in that unit; `error` is the mean squared error of each
    label as the others predict it.
    """

    vectors: np.ndarray
    values: np.ndarray
    mean: float
    projected: np.ndarray
    strength: float
    variance: float
    error: float

    def __call__(self, kernel: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance (m,) of labels, by kernels (m, n) with the labels and (m,) with themselves."""
        spread = np.sqrt(self.values + self.strength)
        rotated = kernel @ (self.vectors / spread).astype(np.float32)
        mean = self.mean + rotated @ (self.projected / spread).astype(np.float32)
        known = np.einsum("ij,ij->i", rotated, rotated)
        # The noise is the label's own, and that of the mean of all labels.
        left = np.maximum(0.0, own - known) + self.strength * (1 + 1 / len(self.values))
        return mean, self.variance * left


def fit_ridge(kernel: np.ndarray, targets: np.ndarray) -> Ridge:
    """Return the ridge regression whose strength has the least leave-one-out error.

    Args:
        kernel: centred, of mean diagonal 1, (n, n) with n of at least 2.
        targets: labels (n,).
    """
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)  # rounding leaves some a little below 0
    mean = float(targets.mean())
    projected = vectors.T @ (targets - mean)
    errors = left_out(values, vectors, projected, STRENGTHS)
    best = int(np.argmin(np.mean(errors**2, axis=0)))
    strength, error = float(STRENGTHS[best]), errors[:, best]
    # What is left of each label, times its error: each is the square of its own spread.
    residuals = vectors @ (projected * strength / (values + strength))
    variance = float(np.mean(residuals * error)) / strength
    return Ridge(vectors, values, mean, projected, strength, variance, float(np.mean(error**2)))


def left_out(values: np.ndarray, vectors: np.ndarray, projected: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Return errors (n, s) of each label as the others predict it, mean included, at each strength.

    Args:
        values: eigenvalues (n,) of the kernel of the labels.
        vectors: its eigenvectors (n, n), in columns.
        projected: labels less their mean, in these eigenvectors (n,).
        strengths: noise in units of the kernel (s,).
    """
    # A residual over 1 less its leverage is the error of a fit without that label; the mean adds 1 / n of leverage.
    shrunk = strengths / (values[:, None] + strengths)
    leverage = 1 / len(values) + vectors**2 @ (1 - shrunk)
    errors: np.ndarray = vectors @ (projected[:, None] * shrunk) / np.maximum(TINY, 1 - leverage)
    return errors


@dataclass(frozen=True)
class Features:
    """The active options: one-hot (n, p), and occurrences (n, q) over choices with the same options."""

    one_hot: np.ndarray
    occurrences: np.ndarray

    def with_labels(self, labels: Features) -> Shared:
        """Return what these, n, share with m labels: (n, m)."""
        return Shared(self.one_hot @ labels.one_hot.T, self.occurrences @ labels.occurrences.T)

    def with_themselves(self) -> Shared:
        """Return what each shares with itself: (n,)."""
        return Shared(np.sum(self.one_hot**2, axis=1), np.sum(self.occurrences**2, axis=1))


@dataclass(frozen=True)
class Shared:
    """How many options two architectures have in common, and the product of how often each has any."""

    options: np.ndarray
    occurrences: np.ndarray

    def among(self, part: np.ndarray) -> Shared:
        """Return what some of the labels share."""
        return Shared(self.options[np.ix_(part, part)], self.occurrences[np.ix_(part, part)])

    def kernel(self, weights: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return a kernel, shaped as `options`.

        Args:
            weights: of options, their pairs, their triples, occurrences and their pairs, whose sum it is.
        """
        m, common = self.options, self.occurrences
        one, two, three, once, twice = (np.float32(factor) for factor in weights)
        kernel: np.ndarray = m * (one + (m - 1) / 2 * (two + (m - 2) / 3 * three)) if two or three else m * one
        return kernel + common * (once + common * twice) if once or twice else kernel


@dataclass(frozen=True)
class EnsembleMember:
    """A ridge model on a weighted sum of kernels, and its weight in the ensemble.

    The features behind the kernel have mean 0 over the labels: `columns` (n,) are its means before, `total` their mean.
    """

    weight: float
    weights: tuple[float, ...]
    columns: np.ndarray
    total: float
    ridge: Ridge

    def __call__(self, shared: Shared, own: Shared) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance (m,) of labels of those that share (m, n) with the labels, (m,) with themselves."""
        kernel = shared.kernel(self.weights)
        rows = kernel.mean(axis=1)
        kernel -= (rows - np.float32(self.total))[:, None]
        kernel -= self.columns
        return self.ridge(kernel, own.kernel(self.weights) - 2 * rows + self.total)


def fit_member(shared: Shared, weights: tuple[float, ...], targets: np.ndarray, weight: float = 1.0) -> EnsembleMember:
    """Return a member fitted on what the labels share with each other (n, n).

    Args:
        shared: between all labels.
        weights: of its kernels.
        targets: labels (n,).
        weight: of the member in the ensemble.
    """
    kernel = shared.kernel(weights).astype(float)
    columns = kernel.mean(axis=0)
    total = float(columns.mean())
    ridge = fit_ridge(kernel - columns - columns[:, None] + total, targets)
    return EnsembleMember(weight, weights, columns.astype(np.float32), total, ridge)


def scaled_kernel_weights(shared: Shared) -> list[tuple[float, ...]]:
    """Return `KERNEL_WEIGHTS` for kernels scaled to variance 1 over the labels; one without variance is left out."""
    factors = []
    for single in np.eye(len(KERNEL_WEIGHTS[0])):
        kernel = shared.kernel(single)
        variance = float(np.mean(np.diag(kernel), dtype=float) - np.mean(kernel, dtype=float))
        factors.append(1 / variance if variance > ROUNDING else 0.0)
    return [
        tuple(share * f / sum(weights) for share, f in zip(weights, factors, strict=True)) for weights in KERNEL_WEIGHTS
    ]


class Pairs:
    """Averages its members by how well each predicts every label from the others."""

    def __init__(self, space: SearchSpace) -> None:
        """Know nothing yet: all scores are equal."""
        self.space = space
        self._members: list[EnsembleMember] = []

    def fit(self, archs: Sequence[Arch], qualities: Sequence[float], rng: Generator) -> None:
        """Learn from these alone; some ten milliseconds for 200. `rng` draws those that members are compared on."""
        self._members = []
        if len(archs) < 2:
            return
        active = active_options(self.space, archs)
        self._varying = np.flatnonzero((active != active[0]).any(axis=0))
        self._labels = self._features(active)
        shared, targets = self._labels.with_labels(self._labels), normal_scores(qualities)
        kernel_weights, few = scaled_kernel_weights(shared), len(archs) <= MOST_COMPARED
        part = np.arange(len(archs)) if few else rng.choice(len(archs), MOST_COMPARED, replace=False)
        some = shared.among(part)
        # An eigendecomposition for each member: on some of the labels where they are many.
        compared = [fit_member(some, weights, targets[part]) for weights in kernel_weights]
        for weight, member in zip(_weights(compared, len(part)), compared, strict=True):
            if weight and few:  # it was compared on all labels, so it is fitted already
                self._members.append(replace(member, weight=weight))
            elif weight:
                self._members.append(fit_member(shared, member.weights, targets, weight))

    def predict(self, archs: Sequence[Arch]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation (n,) of normal scores; the latter holds the members' disagreement too."""
        if not self._members:
            return np.zeros(len(archs)), np.ones(len(archs))
        features = self._features(active_options(self.space, archs))
        shared, own = features.with_labels(self._labels), features.with_themselves()
        mean, square = np.zeros(len(archs)), np.zeros(len(archs))
        for member in self._members:
            each, variance = member(shared, own)
            mean += member.weight * each
            square += member.weight * (each**2 + variance)
        return mean, np.sqrt(np.maximum(0.0, square - mean**2))

    def _features(self, active: np.ndarray) -> Features:
        """Return the features of active options (n, choices), without choices in which all labels agree."""
        # Both begin with no column, so that there is something to join where no choice varies.
        hot = [np.zeros((len(active), 0), dtype=np.float32)]
        by_options: dict[tuple[object, ...], np.ndarray] = {(): hot[0]}
        for i in self._varying:
            options = self.space.choices[i].options
            columns = (active[:, i, None] == np.arange(ABSENT, len(options))).astype(np.float32)
            hot.append(columns)
            by_options[options] = by_options[options] + columns if options in by_options else columns
        return Features(np.concatenate(hot, axis=1), np.concatenate(list(by_options.values()), axis=1))


def _weights(members: Sequence[EnsembleMember], labels: int) -> list[float]:
    """Return weights that sum to 1, by the likelihood of normal errors of each member's size; 0 for small ones."""
    errors = np.array([member.ridge.error for member in members]) + TINY
    weights = (errors / errors.min()) ** (-labels / 2)
    weights = np.where(weights < LEAST_WEIGHT * weights.sum(), 0.0, weights)
    return list(map(float, weights / weights.sum()))
