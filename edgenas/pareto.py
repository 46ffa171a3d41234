"""Pareto fronts: the non-dominated mask and the hypervolume. All objectives are minimised."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Mask (n,) of the rows of `points` (n, m) that no other row dominates. Equal rows do not dominate each other.

    A row dominates another if it is nowhere larger and somewhere smaller. O(n^2 m) in time and memory.
    """
    rows = np.asarray(points, dtype=np.float64)
    if len(rows) == 0:
        return np.zeros(0, dtype=bool)
    nowhere_larger = (rows[:, None] <= rows[None, :]).all(axis=-1)
    somewhere_smaller = (rows[:, None] < rows[None, :]).any(axis=-1)
    kept: NDArray[np.bool_] = np.logical_not((nowhere_larger & somewhere_smaller).any(axis=0))
    return kept


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Volume that `points` (n, m) dominate below `reference` (m,); a point not below it everywhere adds nothing.

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
    rows = rows[non_dominated(rows)]
    rows = rows[np.argsort(rows[:, -1], kind="stable")]
    if len(corner) > 3:
        return _added(rows, corner)
    gaps = np.diff(np.append(rows[:, -1], corner[-1]))
    slices = [hypervolume(rows[: i + 1, :-1], corner[:-1]) for i in range(len(rows))]
    return float(gaps @ np.array(slices))


def _added(rows: NDArray[np.float64], corner: NDArray[np.float64]) -> float:
    """What each of the rows, which ascend in the last objective, adds to those before it; summed."""
    total = 0.0
    for i, row in enumerate(rows):
        # Rows before it reach as deep in the last objective: what is theirs already is so in the others.
        shared = hypervolume(np.maximum(rows[:i, :-1], row[:-1]), corner[:-1])
        total += float((np.prod(corner[:-1] - row[:-1]) - shared) * (corner[-1] - row[-1]))
    return total
