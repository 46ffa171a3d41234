"""What predictors of quality share: their contract, the scale of their labels, and which choices a network shows."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.random import Generator

from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace

ABSENT = -1


class QualityPredictor(Protocol):
    """Learns the quality of architectures from a few, and predicts that of others."""

    def fit(self, archs: Sequence[Arch], qualities: Sequence[float], rng: Generator) -> None:
        """Learn from these alone, higher being better; what was learned before is forgotten. `rng` decides the rest."""
        ...

    def predict(self, archs: Sequence[Arch]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, (n,) each, of the normal score of what these would show beside the labels."""
        ...


def normal_scores(qualities: Sequence[float] | np.ndarray) -> np.ndarray:
    """Standard normal quantiles (n,) of the ranks, equal for equals: broken networks far below all bend nothing."""
    _, place, counts = np.unique(np.asarray(qualities, dtype=float), return_inverse=True, return_counts=True)
    middles = (np.cumsum(counts) - counts / 2) / max(1, len(place))
    return np.array([NormalDist().inv_cdf(share) for share in middles])[place]


def rank_correlation(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Pearson's correlation of the normal scores; 0 where either side is all equal."""
    x, y = normal_scores(a), normal_scores(b)
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else 0.0


def active_options(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """Options (n, choices) as the network shows them: `ABSENT` where a choice decides nothing, or decides for zeros."""
    rows = space.rows(archs)
    return np.where(space.active_choices(rows), rows.astype(np.int64), ABSENT)
