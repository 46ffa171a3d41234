from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgenas.exploration.pareto import crowding, fronts, hypervolume, non_dominated

POINTS = st.integers(1, 4).flatmap(
    lambda m: arrays(np.float64, st.tuples(st.integers(0, 8), st.just(m)), elements=st.integers(0, 5).map(float))
)


@pytest.mark.parametrize(
    "points, mask",
    [
        ([[1, 2], [2, 1], [2, 2]], [True, True, False]),
        ([[1, 1], [1, 1]], [True, True]),  # equals do not dominate each other
        ([[1, 2], [1, 3]], [True, False]),
        ([[3]], [True]),
        ([[1, 1, 9], [1, 2, 3], [2, 2, 4]], [True, True, False]),
    ],
)
def test_non_dominated_by_hand(points, mask):
    assert non_dominated(points).tolist() == mask


def test_no_points():
    assert non_dominated([]).tolist() == fronts([]).tolist() == crowding([], []).tolist() == []
    assert hypervolume([], (1.0, 1.0)) == 0.0


@pytest.mark.parametrize(
    "points, front",
    [
        ([[1, 2], [2, 1], [2, 2]], [0, 0, 1]),
        ([[1, 1], [1, 1], [2, 2]], [0, 0, 1]),  # equals share a front
        ([[3, 3], [1, 1], [2, 2]], [2, 0, 1]),
        ([[1, 4], [2, 5], [4, 1], [5, 2], [3, 6]], [0, 1, 0, 1, 2]),
        ([[2], [1], [2]], [1, 0, 1]),
    ],
)
def test_fronts_by_hand(points, front):
    assert fronts(points).tolist() == front


@pytest.mark.parametrize(
    "points, front, distance",
    [
        ([[0, 4], [1, 2], [4, 0]], [0, 0, 0], [np.inf, 2.0, np.inf]),
        # Gaps of the neighbours, (3 - 0) / 10 + (10 - 7) / 10 and (10 - 1) / 10 + (9 - 0) / 10.
        ([[0, 10], [1, 9], [3, 7], [10, 0]], [0, 0, 0, 0], [np.inf, 0.6, 1.8, np.inf]),
        ([[0, 4], [1, 2], [4, 0], [9, 9]], [0, 0, 0, 1], [np.inf, 2.0, np.inf, 0.0]),  # other fronts do not count
        ([[0, 5], [2, 5], [4, 5]], [0, 0, 0], [np.inf, 1.0, np.inf]),  # an objective without differences
        ([[3, 3], [3, 3]], [0, 0], [0.0, 0.0]),
    ],
)
def test_crowding_by_hand(points, front, distance):
    assert crowding(points, front).tolist() == pytest.approx(distance)


@pytest.mark.parametrize(
    "points, reference, volume",
    [
        ([[1]], [3], 2.0),
        ([[1, 1]], [3, 4], 6.0),
        ([[1, 2], [2, 1]], [3, 3], 3.0),
        ([[1, 2], [2, 1], [2, 2]], [3, 3], 3.0),  # a dominated point adds nothing
        ([[1, 2], [5, 0]], [3, 3], 2.0),  # neither does one beyond the reference
        ([[0, 0, 0]], [1, 2, 3], 6.0),
        ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], [2, 2, 2], 4.0),  # the centre, and one cell on each of three sides
    ],
)
def test_hypervolume_by_hand(points, reference, volume):
    assert hypervolume(points, reference) == pytest.approx(volume)


@given(POINTS)
def test_a_dropped_point_is_dominated_by_a_kept_one(points):
    kept = non_dominated(points)
    for point in points[~kept]:
        assert any((other <= point).all() and (other < point).any() for other in points[kept])


@given(POINTS)
def test_fronts_peel_the_non_dominated(points):
    front = fronts(points)
    for number in range(front.max(initial=-1) + 1):
        left = front >= number
        assert (non_dominated(points[left]) == (front[left] == number)).all()


@given(POINTS)
def test_hypervolume_counts_dominated_unit_cells(points):
    side = 6
    reference = np.full(points.shape[1], float(side))
    cells = np.stack(np.meshgrid(*[np.arange(side)] * points.shape[1]), axis=-1).reshape(-1, points.shape[1])
    dominated = sum(any((point <= cell).all() for point in points) for cell in cells)
    assert hypervolume(points, reference) == pytest.approx(dominated)


@given(POINTS)
def test_hypervolume_ignores_order_and_repeats(points):
    reference = np.full(points.shape[1], 6.0)
    assert hypervolume(np.concatenate([points[::-1], points]), reference) == pytest.approx(
        hypervolume(points, reference)
    )
