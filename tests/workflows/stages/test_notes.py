"""What a person is told in the end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgenas.workflows.config import make_config
from edgenas.workflows.stages import notes as module
from edgenas.workflows.stages.artefacts import Bounds, Folds

BOUNDS = Bounds("0", 1.0, "1", 18.3, largest_low_ms=16.9, largest_high_ms=19.8)


def notes(budget_ms, bounds=BOUNDS, arch=(0,), controls=None, **settings):
    """The notes of a run on a trained network that delivered one of its architectures."""
    config = make_config({"budget_ms": budget_ms, "data": "photos", "evaluator": "features", **settings})
    device = SimpleNamespace(is_here=False, name="pi5")
    task = SimpleNamespace(config=config, device=device, budget_ms=budget_ms, inherited=None)
    priced = SimpleNamespace(task=task, config=config, space=SimpleNamespace(code=lambda arch: str(arch[0])))
    chosen = SimpleNamespace(
        priced=priced,
        verdict=SimpleNamespace(met=None, reason=""),
        folds=None,
        misses=0,
        finalist=SimpleNamespace(arch=arch, code=str(arch[0])),
        selection=SimpleNamespace(notes=(), controls=controls or {}),
    )
    return module.notes_of(chosen, bounds, [])


@pytest.fixture(autouse=True)
def nothing_is_estimated(monkeypatch):
    monkeypatch.setattr(module, "_estimated_share", lambda priced, arch: 0.0)


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


def test_a_control_that_is_delivered_is_named():
    said = notes(10.0, controls={"ladder": "0", "uniform": "0", "largest": "1"})
    assert said == ["the search found nothing that is better than the control ladder and uniform, which is delivered"]
    assert notes(10.0, arch=(1,), controls={"ladder": "0"}) == []


def test_what_decided_among_finalists_of_few_images_is_said():
    folds = Folds(3, 400, {"0": 0.84, "1": 0.82, "2": 0.7})
    assert module._compared_by_folds(folds, "0") == (
        "finalists were compared by 3 folds of the 400 images of training and validation, shortly trained: this one "
        "84.00 % ± 1.83, the best of the others 82.00 % ± 1.92"
    )


def test_workers_that_were_capped_are_told_of(monkeypatch):
    monkeypatch.setattr("edgenas.runtimes.host.usable_cores", lambda: 2)
    (line,) = [line for line in notes(2.0, workers=64) if "workers" in line]
    assert line == "--workers 64: 2 were used, as there are no more cores here"
    assert not [line for line in notes(2.0, workers=2) if "workers" in line]
