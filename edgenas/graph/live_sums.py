"""Partial sums of live nodes, by look-ups: sums over conditions for many architectures at once.

Most conditions depend on a few choices. Conditions on the same choices are one group, whose partial sum is listed for
every combination of options of these choices; the sum of an architecture is then one look-up a group.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgenas.graph.conditions import FALSE, CompiledDiagrams, Diagrams

# Most combinations of options that are listed for a group. The diagrams of conditions on more are evaluated for each
# architecture: by then a list costs more memory traffic than the evaluation.
MOST_LISTED = 2**10


class LiveSums:
    """Sums of one weight per condition over the conditions that hold, for many architectures.

    A sum does not depend on which architectures are summed in the same call, to the last bit.
    """

    def __init__(self, diagrams: Diagrams, conditions: Sequence[int], *, most: int = MOST_LISTED) -> None:
        """Group the conditions and list, for each group, which hold under which options.

        Args:
            diagrams: where the conditions are.
            conditions: diagram ids, repeats allowed.
            most: combinations of options; conditions on more are not listed.
        """
        self._conditions = np.array(conditions, dtype=np.intp)
        self._diagrams = len(diagrams.tests)
        sizes = diagrams.sizes
        # What never holds is in no sum.
        groups, rest = _grouped(diagrams, set(conditions) - {FALSE}, most)
        listed = [(members, _listed(diagrams, choices, members)) for choices, members in groups]
        # A condition that is not listed has a list of two: nothing, and its weight.
        self._lists = [*listed, *(([diagram], np.array([[False], [True]])) for diagram in rest)]
        self._starts = np.cumsum([0, *(len(held) for _, held in self._lists)])[:-1]
        self._strides = np.zeros((len(sizes), len(groups)))
        # The place of a combination in its list, as `itertools.product` counts: the last choice runs fastest.
        for group, (choices, _) in enumerate(groups):
            for i, choice in enumerate(choices):
                self._strides[choice, group] = math.prod(sizes[c] for c in choices[i + 1 :])
        self._rest = CompiledDiagrams(diagrams, rest) if rest else None

    def table(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the partial sums that `indices` point at, for `weights` (conditions,)."""
        # Nodes on one condition are one term of the sum.
        by_diagram = np.bincount(self._conditions, weights, minlength=self._diagrams)
        return np.concatenate([np.zeros(0), *(held @ by_diagram[members] for members, held in self._lists)])

    def indices(self, archs: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Return where the partial sums of `archs` (n, choices) stand in a table: (n, groups)."""
        # Row by row in memory: numpy then adds up a row in the same order, whatever other rows there are.
        indices = np.empty((len(archs), len(self._starts)), dtype=np.intp)
        listed = self._strides.shape[1]
        # As floats, whole numbers far below 2^53 are exact, and BLAS multiplies them fast.
        indices[:, :listed] = archs.astype(np.float64) @ self._strides
        if self._rest is not None:
            indices[:, listed:] = self._rest(archs)
        indices += self._starts
        return indices


def _grouped(
    diagrams: Diagrams, conditions: Iterable[int], most: int
) -> tuple[list[tuple[list[int], list[int]]], list[int]]:
    """Return groups of choices and the conditions on no others, and the conditions on too many choices."""
    supports = diagrams.supports()
    groups: list[tuple[list[int], list[int]]] = []
    rest = []
    # The largest supports come first, so that a smaller one finds a group that has its choices already.
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
    """Return which conditions hold, (combinations, conditions), for all combinations of options of `choices`."""
    combinations = list(itertools.product(*(range(diagrams.sizes[choice]) for choice in choices)))
    archs = np.zeros((len(combinations), len(diagrams.sizes)), dtype=np.uint8)
    archs[:, choices] = combinations
    return CompiledDiagrams(diagrams, conditions)(archs)
