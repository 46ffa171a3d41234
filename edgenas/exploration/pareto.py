"""Pareto fronts: the non-dominated mask, front after front, crowding, hypervolume. All objectives are minimised."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Return a mask (n,) of the rows of `points` (n, m) that no other dominates; equal rows do not dominate each other.

    A row dominates another if it is nowhere larger and somewhere smaller. O(n^2 m) in time and memory.
    """
    kept: NDArray[np.bool_] = np.logical_not(_dominates(points).any(axis=0))
    return kept


def fronts(points: ArrayLike) -> NDArray[np.int64]:
    """Return the front (n,) of each row of `points` (n, m): 0 if none dominates it, 1 if none beyond front 0 does, ...

    The non-dominated sorting of NSGA-II (Deb et al., 2002, doi:10.1109/4235.996017). O(n^2 m) in memory, and in time
    O(n^2) a front besides.
    """
    dominates = _dominates(points)
    front = np.zeros(len(dominates), dtype=np.int64)
    left = np.ones(len(dominates), dtype=bool)
    while left.any():
        # Those that none of the rest dominates keep their number; the others belong one front further back.
        left &= dominates[left].any(axis=0)
        front[left] += 1
    return front


def crowding(points: ArrayLike, front: ArrayLike) -> NDArray[np.float64]:
    """Return the crowding distance (n,) of each row of `points` (n, m) within its `front` (n,) (Deb et al., 2002).

    The sum over the objectives of the gap between its two neighbours, as a share of the front's span; infinite at both
    ends. An objective in which a front does not differ adds nothing to it.
    """
    rows, group = np.asarray(points, dtype=np.float64), np.asarray(front)
    distance = np.zeros(len(group))
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        for column in rows[members].T:
            # Stable, as numpy's default picks its algorithm by the processor, and may order equal values otherwise.
            order = np.argsort(column, kind="stable")
            ascending = column[order]
            span = ascending[-1] - ascending[0]
            if span > 0:
                gaps = np.full(len(members), np.inf)
                gaps[1:-1] = (ascending[2:] - ascending[:-2]) / span
                distance[members[order]] += gaps
    return distance


def _dominates(points: ArrayLike) -> NDArray[np.bool_]:
    """Return which row dominates which other: (n, n)."""
    rows = np.asarray(points, dtype=np.float64)
    if len(rows) == 0:
        return np.zeros((0, 0), dtype=bool)
    nowhere_larger = (rows[:, None] <= rows[None, :]).all(axis=-1)
    somewhere_smaller = (rows[:, None] < rows[None, :]).any(axis=-1)
    dominates: NDArray[np.bool_] = np.logical_and(nowhere_larger, somewhere_smaller)
    return dominates


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume that `points` (n, m) dominate below `reference` (m,); points beyond it somewhere add nothing.

    Up to three objectives it slices along the last: between two neighbouring values of it, the volume is that of the
    points up to there in the other objectives, times the gap. Beyond, it sums what each point adds to those before it
    (WFG: While, Bradstreet and Barone, 2012), which takes half a second for 90 points in six objectives.
    """
    corner = np.asarray(reference, dtype=np.float64)
    rows = np.asarray(points, dtype=np.float64).reshape(-1, len(corner))
    rows = rows[(rows < corner).all(axis=1)]
    if len(rows) == 0:
        return 0.0
    if len(corner) == 1:
        return float(corner[0] - rows.min())
    # Dominated rows add no volume, and each row that is left costs a slice or a sum below.
    rows = rows[non_dominated(rows)]
    rows = rows[np.argsort(rows[:, -1], kind="stable")]
    if len(corner) > 3:
        return _added(rows, corner)
    gaps = np.diff(np.append(rows[:, -1], corner[-1]))
    slices = [hypervolume(rows[: i + 1, :-1], corner[:-1]) for i in range(len(rows))]
    return float(gaps @ np.array(slices))


def _added(rows: NDArray[np.float64], corner: NDArray[np.float64]) -> float:
    """Sum what each of the rows, which ascend in the last objective, adds to those before it."""
    total = 0.0
    for i, row in enumerate(rows):
        # Rows before it reach as deep in the last objective: what is theirs already is so in the others.
        shared = hypervolume(np.maximum(rows[:i, :-1], row[:-1]), corner[:-1])
        total += float((np.prod(corner[:-1] - row[:-1]) - shared) * (corner[-1] - row[-1]))
    return total
