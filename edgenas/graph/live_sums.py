"""Sums over the conditions that hold: most depend on a few choices, so they are listed ahead and a sum is look-ups."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgenas.graph.conditions import FALSE, Answers, Diagrams

# Conditions over so few combinations of options are listed; the diagrams of the others are walked each time.
MOST_LISTED = 2**10


class Sums:
    """Sums of one weight per condition over the conditions that hold, for many architectures.

    A sum does not depend on which architectures are summed in the same call, to the last bit.
    """

    def __init__(self, diagrams: Diagrams, conditions: Sequence[int], *, most: int = MOST_LISTED) -> None:
        """`conditions` are diagram ids, repeats allowed; those over more than `most` combinations are not listed."""
        self._conditions = np.array(conditions, dtype=np.intp)
        self._diagrams = len(diagrams.tests)
        sizes = diagrams.sizes
        groups, rest = _grouped(diagrams, set(conditions) - {FALSE}, most)
        listed = [(members, _listed(diagrams, choices, members)) for choices, members in groups]
        self._lists = [*listed, *(([diagram], np.array([[False], [True]])) for diagram in rest)]
        self._starts = np.cumsum([0, *(len(held) for _, held in self._lists)])[:-1]
        self._strides = np.zeros((len(sizes), len(groups)))
        for group, (choices, _) in enumerate(groups):
            for i, choice in enumerate(choices):
                self._strides[choice, group] = math.prod(sizes[c] for c in choices[i + 1 :])
        self._rest = Answers(diagrams, rest) if rest else None

    def table(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """What `places` point into, for one weight per condition."""
        by_diagram = np.bincount(self._conditions, weights, minlength=self._diagrams)
        return np.concatenate([np.zeros(0), *(held @ by_diagram[members] for members, held in self._lists)])

    def places(self, archs: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Places (len(archs), k) in a table: its entries there add up to the sums. `archs` is (len(archs), choices)."""
        # Row by row in memory: numpy adds up a row in the same order then, however many there are.
        places = np.empty((len(archs), len(self._starts)), dtype=np.intp)
        listed = self._strides.shape[1]
        # As floats, whole numbers far below 2^53 are exact, and multiplied fast.
        places[:, :listed] = archs.astype(np.float64) @ self._strides
        if self._rest is not None:
            places[:, listed:] = self._rest(archs)
        places += self._starts
        return places


def _grouped(
    diagrams: Diagrams, conditions: Iterable[int], most: int
) -> tuple[list[tuple[list[int], list[int]]], list[int]]:
    """Choices with the conditions that depend on no others, group by group; and the conditions on too many choices."""
    supports = diagrams.supports()
    groups: list[tuple[list[int], list[int]]] = []
    rest = []
    for diagram in sorted(conditions, key=lambda diagram: (-len(supports[diagram]), diagram)):
        support = supports[diagram]
        fitting = (members for choices, members in groups if support <= set(choices))
        if math.prod(diagrams.sizes[choice] for choice in support) > most:
            rest.append(diagram)
        elif (members := next(fitting, None)) is not None:
            members.append(diagram)
        else:
            groups.append((sorted(support), [diagram]))
    return groups, rest


def _listed(diagrams: Diagrams, choices: list[int], conditions: list[int]) -> NDArray[np.bool_]:
    """Which conditions hold (combinations, len(conditions)) for all combinations of options of some choices."""
    combinations = list(itertools.product(*(range(diagrams.sizes[choice]) for choice in choices)))
    archs = np.zeros((len(combinations), len(diagrams.sizes)), dtype=np.uint8)
    archs[:, choices] = combinations
    return Answers(diagrams, conditions)(archs)
