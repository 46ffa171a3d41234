"""What would have been made of a trained network without a search."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgenas.cost.counts import CountCost
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.training.train import Scores
from edgenas.workflows.stages import controls as module
from edgenas.workflows.stages.artefacts import Candidate, Selection
from edgenas.workflows.stages.controls import (
    LADDER,
    LARGEST,
    SMALLER,
    TRIES,
    UNIFORM,
    control_networks,
    trained_controls,
    wanted_controls,
    with_controls,
)
from tests.pretrained.converter.test_space import space_of
from tests.workflows._tasks import context

MACS = CountCost("macs")


def priced(share: float) -> SimpleNamespace:
    """A trained network's space with a budget of a share of its MACs."""
    space = space_of("lite", 96)[1].restrict({"width": [0]})
    whole = float(MACS.many(space, [space.whole])[0])
    problem = Problem(space, (MACS,), Objective({"macs": share * whole}), lambda arch: {"accuracy": 0.5})
    elsewhere = SimpleNamespace(is_here=False)
    task = SimpleNamespace(space=space, teacher=SimpleNamespace(graph=space.graph(space.whole)), device=elsewhere)
    return SimpleNamespace(space=space, task=task, problem=problem, costs=SimpleNamespace(macs=MACS))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", [LADDER, UNIFORM, LARGEST])
def test_controls_fit_the_largest_first(tmp_path, name, share):
    run = priced(share)
    found = control_networks(run, context(tmp_path), name)
    assert run.problem.feasible(found).all() and len(set(found)) == len(found)
    macs = MACS.many(run.space, found).tolist()
    assert name == LARGEST or macs == sorted(macs, reverse=True)


@pytest.mark.parametrize("is_here", [False, True])
def test_on_this_machine_what_may_fit_is_measured(tmp_path, is_here):
    run = priced(0.6)
    run.task.device = SimpleNamespace(is_here=is_here)
    run.costs.gate = MACS
    run.costs.low = CountCost("params")  # of which every network has few enough
    run.problem = Problem(run.space, (MACS, run.costs.low), run.problem.objective, run.problem.evaluator)
    largest = control_networks(run, context(tmp_path), LADDER)[0]
    assert (largest == run.space.whole) == is_here


def test_the_ladder_changes_the_resolution_alone_and_uniform_cuts_one_share(tmp_path):
    run, ctx = priced(0.6), context(tmp_path)
    place = run.space.index["resolution"]
    for arch in control_networks(run, ctx, LADDER):
        assert all(option == 0 for i, option in enumerate(arch) if i != place)
    for arch in control_networks(run, ctx, UNIFORM):
        values = run.space.values(arch)
        assert len({value for name, value in values.items() if name.endswith(".expand")}) == 1
        assert all(arch[i] == 0 for i, c in enumerate(run.space.choices) if c.name.endswith(".kernel"))


def test_where_nothing_fits_there_is_no_control(tmp_path):
    for name in (LADDER, UNIFORM, LARGEST):
        assert control_networks(priced(1e-6), context(tmp_path), name) == []


@pytest.mark.parametrize(
    ("controls", "images", "minutes", "expected"),
    [
        (None, 5_000, None, (LADDER, UNIFORM, LARGEST, SMALLER)),
        (None, 5_001, None, (LADDER,)),
        (None, 100, 15.0, (LADDER,)),
        ("all", 50_000, 15.0, (LADDER, UNIFORM, LARGEST, SMALLER)),
        ("ladder", 100, None, (LADDER,)),
        ("none", 100, None, ()),
    ],
)
def test_controls_are_trained_where_there_is_time_for_them(controls, images, minutes, expected):
    assert wanted_controls(SimpleNamespace(controls=controls, minutes=minutes), images) == expected


@pytest.mark.parametrize("passes", [False, True])
def test_controls_are_measured_together_and_misses_twice(tmp_path, monkeypatch, passes):
    """In a slow minute nothing keeps the budget; where it passes, the first of each control does."""
    run, ctx, streams = priced(0.6), context(tmp_path), []
    run.task.config = run.config = SimpleNamespace(controls="all", minutes=None, pretrained=None)
    run.data = SimpleNamespace(train=range(100))
    monkeypatch.setattr(module, "smaller_member", lambda priced: None)

    def measured(priced, scores, ctx, stream):
        streams.append((stream, len(scores)))
        met = passes and stream == "controls again"
        return {arch: Candidate(priced.space.code(arch), None, 2.0, 2.0, 0.01, met) for arch in scores}

    monkeypatch.setattr(module, "measure_candidates", measured)
    evaluator = SimpleNamespace(final=lambda arch: {"accuracy": 0.5, "agreement": 0.9})
    found = with_controls(run, evaluator, Selection(("found",)), ctx)
    tries = {name: control_networks(run, ctx, name) for name in (LADDER, UNIFORM, LARGEST)}
    parts = [{arch for archs in tries.values() for arch in archs[i : i + TRIES]} for i in range(0, 12, TRIES)]
    asked = [len(part) for part in parts[: 1 if passes else None] if part]
    assert streams == [(stream, many) for many in asked for stream in ("controls", "controls again")]
    first = {name: run.space.code(archs[0]) for name, archs in tries.items()}
    assert found.controls == (first if passes else {})
    assert found.finalists == tuple(dict.fromkeys(("found", *found.controls.values())))
    scored = {row.arch for row in found.candidates if row.accuracy is not None}
    assert scored == set(found.controls.values())


def test_what_became_of_controls_goes_by_name():
    rows = (Candidate("00", 0.5, 2.0, None, None, None), Candidate("10", 0.5, 2.0, 1.5, 0.01, True))
    selection = Selection(("00", "10"), rows, controls={"ladder": "10", "uniform": "00"})
    trained = [SimpleNamespace(code=code, scores=Scores(s, 1.0, 300)) for code, s in (("00", 0.7), ("10", 0.8))]
    assert trained_controls(selection, trained) == {
        "ladder": {"arch": "10", "validation_accuracy": 0.8, "validation_loss": 1.0, "latency_ms": 1.5},
        "uniform": {"arch": "00", "validation_accuracy": 0.7, "validation_loss": 1.0, "latency_ms": 2.0},
    }
