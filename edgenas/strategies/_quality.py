"""What predictors of quality share: their contract, the scale of their labels, and which choices a network shows."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.random import Generator

from edgenas.conditions import FALSE, TRUE, Conditions
from edgenas.graph import Arch
from edgenas.ops import Choose
from edgenas.spaces._base import SearchSpace, Statics

ABSENT = -1


class Predictor(Protocol):
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


def shown_options(space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """Options (n, choices) as the network shows them: `ABSENT` where a choice decides nothing, or decides for zeros."""
    options = np.array(archs, dtype=np.int64).reshape(len(archs), len(space.choices))
    shown = options.copy()
    distinct, place = np.unique(options[:, list(space.static_indices)], axis=0, return_inverse=True)
    for i, statics in enumerate(map(tuple, distinct.tolist())):
        members = np.flatnonzero(place.reshape(-1) == i)
        for choice, holds in _asked(space, statics, options[members]).items():
            shown[members, choice] = np.where(holds, shown[members, choice], ABSENT)
    return shown


def _asked(space: SearchSpace, statics: Statics, options: np.ndarray) -> dict[int, np.ndarray]:
    """By position of each choice that is not static, in which architectures (n, choices) it decides something."""
    conditions = space.conditions(statics)
    asked = {i: FALSE for i, choice in enumerate(space.choices) if not choice.static}
    for node, live in zip(space.supergraph(statics), conditions.live, strict=True):
        if isinstance(node.op, Choose):
            choice = space.index[node.op.choice]
            asked[choice] = conditions.diagrams.either(asked[choice], live)
    known = {FALSE: np.zeros(len(options), dtype=bool), TRUE: np.ones(len(options), dtype=bool)}
    return {choice: _holds(conditions, condition, options, known) for choice, condition in asked.items()}


def _holds(conditions: Conditions, condition: int, options: np.ndarray, known: dict[int, np.ndarray]) -> np.ndarray:
    """Where the condition is true, for options (n, choices)."""
    if condition not in known:
        choice, branches = conditions.diagrams.tests[condition]
        holds = np.zeros(len(options), dtype=bool)
        for option, branch in enumerate(branches):
            if branch != FALSE:
                holds |= (options[:, choice] == option) & _holds(conditions, branch, options, known)
        known[condition] = holds
    return known[condition]
