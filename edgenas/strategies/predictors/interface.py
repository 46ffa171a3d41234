"""What predictors of quality share: their contract, the scale of their labels, and the active choices of a network."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.random import Generator

from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace

ABSENT = -1  # stands for the option of a choice that decides nothing: no option has this index


class QualityPredictor(Protocol):
    """Learns the quality of architectures from a few, and predicts that of others."""

    def fit(self, archs: Sequence[Arch], qualities: Sequence[float], rng: Generator) -> None:
        """Learn from these alone, higher being better; what was learned before is forgotten. `rng` decides the rest."""
        ...

    def predict(self, archs: Sequence[Arch]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, (n,) each, of the normal scores of these among the labels."""
        ...


def normal_scores(qualities: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return standard normal quantiles (n,) of the ranks: broken networks far below all others bend nothing.

    >>> normal_scores([0.9, 0.1, 0.9]).round(2).tolist()
    [0.43, -0.97, 0.43]
    """
    _, place, counts = np.unique(np.asarray(qualities, dtype=float), return_inverse=True, return_counts=True)
    # The middle of each rank's share: the ends would be quantiles of 0 and 1, which are infinite.
    middles = (np.cumsum(counts) - counts / 2) / max(1, len(place))
    return np.array([NormalDist().inv_cdf(share) for share in middles])[place]


def rank_correlation(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Return Pearson's correlation of the normal scores; 0 where either side is all equal."""
    x, y = normal_scores(a), normal_scores(b)
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else 0.0


def active_options(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """Return options (n, choices) of active choices: `ABSENT` where a choice decides nothing, or decides for zeros."""
    rows = space.rows(archs)
    return np.where(space.active_choices(rows), rows.astype(np.int64), ABSENT)
