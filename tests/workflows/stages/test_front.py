from __future__ import annotations

import pytest

from edgenas.exploration.objective import Objective
from edgenas.exploration.study import Study
from edgenas.workflows.stages.front import front_with, volume

MS, PARAMS = "latency_high_ms@test", "params"


@pytest.mark.parametrize(
    "trials, hypervolume, corner",
    [
        ([], 0.0, {}),
        ([(0.9, 10.0, 5.0)], 0.0, {}),  # nothing that tells one from another
        ([(0.9, 10.0, 5.0), (0.5, 10.0, 5.0)], 0.0, {}),
        ([(0.9, 10.0, 5.0), (0.5, 20.0, 5.0)], 0.4 * 10 / (0.5 * 20), {"accuracy": 0.5, MS: 20.0}),
        ([(0.9, 10.0, 5.0), (0.5, 20.0, 8.0)], 0.4 * 10 * 3 / (0.5 * 20 * 8), {"accuracy": 0.5, MS: 20.0, PARAMS: 8.0}),
        ([(0.9, 20.0, 5.0), (0.5, 10.0, 5.0)], 0.0, {"accuracy": 0.5, MS: 20.0}),  # both lie on the bounds
        (
            [(0.9, 10.0, 5.0), (0.5, 20.0, 8.0), (0.1, 30.0, 1.0)],
            0.4 * 10 * 3 / (0.5 * 20 * 8),
            {"accuracy": 0.5, MS: 20.0, PARAMS: 8.0},
        ),
    ],
)
def test_the_volume_is_bounded_by_the_worst_of_the_feasible(tmp_path, trials, hypervolume, corner):
    study = Study(tmp_path, Objective({MS: 25.0, PARAMS: 10.0}))
    for i, (accuracy, ms, params) in enumerate(trials):
        study.add((i,), {"accuracy": accuracy, MS: ms, PARAMS: params})
    found = volume(study)
    assert found.reference_point == corner
    assert found.hypervolume == pytest.approx(hypervolume)


def point(accuracy: float, ms: float, arch: str = "") -> dict[str, object]:
    return {"accuracy": accuracy, MS: ms, "arch": arch or f"{accuracy} {ms}"}


FRONT = [point(0.9, 20.0), point(0.8, 10.0), point(0.5, 5.0)]


@pytest.mark.parametrize(
    "delivered, kept",
    [
        (point(0.7, 15.0), FRONT),  # dominated: it is no part of the front
        (FRONT[1], FRONT),
        (point(0.85, 15.0), [FRONT[0], point(0.85, 15.0), *FRONT[1:]]),
        (point(0.95, 10.0), [point(0.95, 10.0), FRONT[2]]),  # it dominates two of them
        (point(0.8, 10.0, "other"), [FRONT[0], FRONT[1], point(0.8, 10.0, "other"), FRONT[2]]),
    ],
)
def test_the_delivered_point_joins_the_front_only_where_none_beats_it(delivered, kept):
    assert front_with(FRONT, delivered, Objective({MS: 25.0})) == kept
