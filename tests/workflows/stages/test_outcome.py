from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgenas.exploration.objective import Objective
from edgenas.exploration.study import Study
from edgenas.workflows.config import make_config
from edgenas.workflows.stages import outcome
from edgenas.workflows.stages.artefacts import Bounds
from edgenas.workflows.stages.outcome import front_with, volume

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


BOUNDS = Bounds("0", 1.0, "1", 18.3, largest_low_ms=16.9, largest_high_ms=19.8)


def notes(budget_ms, bounds=BOUNDS, arch=(0,), **settings):
    """The notes of a run on a trained network that delivered one of its architectures."""
    config = make_config({"budget_ms": budget_ms, "data": "photos", "evaluator": "features", **settings})
    device = SimpleNamespace(is_here=False, name="pi5")
    task = SimpleNamespace(config=config, device=device, budget_ms=budget_ms, inherited=None)
    priced = SimpleNamespace(task=task, config=config, space=SimpleNamespace(code=lambda arch: str(arch[0])))
    chosen = SimpleNamespace(
        priced=priced,
        verdict=SimpleNamespace(met=None, reason=""),
        misses=0,
        finalist=SimpleNamespace(arch=arch),
        selection=SimpleNamespace(notes=()),
    )
    return outcome._notes(chosen, bounds, [])


@pytest.fixture(autouse=True)
def nothing_is_estimated(monkeypatch):
    monkeypatch.setattr(outcome, "_estimated_share", lambda priced, arch: 0.0)


@pytest.mark.parametrize("budget_ms, told", [(19.8, True), (19.7, False), (18.4, False)])
def test_whether_the_budget_binds_is_decided_by_the_high_end_and_the_interval_is_shown(budget_ms, told):
    note = "the budget does not bind: the largest network is predicted to take 18.30 ms (16.90 to 19.80)"
    assert notes(budget_ms) == [note] * told


def test_where_a_trained_network_fits_whole_the_command_that_fine_tunes_it_is_named():
    _, line = notes(20.0, pretrained="efficientnet-lite0", image_size=96, device="pi5")
    command = "edgenas baseline --train --pretrained efficientnet-lite0 --data photos --image-size 96 --device pi5"
    assert f"`{command} --budget-ms 20`" in line
    whole = notes(20.0, arch=(1,), pretrained="efficientnet-lite0")
    assert len(whole) == 1, "where it was delivered whole, there is nothing else to do"
