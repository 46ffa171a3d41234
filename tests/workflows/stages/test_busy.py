"""Stages that time this machine, on one that is as busy as a test says: `tests._busy_runtime` makes the times up."""

from dataclasses import replace

import pytest

from edgenas.devices.this_host import cached_table_path
from edgenas.errors import BudgetError
from edgenas.latency.table import read_table
from edgenas.runtimes.host import host_name
from edgenas.runtimes.waiting import Waiting
from edgenas.system.run_folder import read_artefact
from edgenas.workflows.limits import limits_of
from edgenas.workflows.stages.artefacts import Bounds, Candidate
from edgenas.workflows.stages.bounds import check_bounds, measured_bounds
from edgenas.workflows.stages.measured import measure_candidates
from edgenas.workflows.stages.pricing import profile
from edgenas.workflows.task import Device
from tests import _busy_runtime as runtime
from tests.workflows._tasks import ARCHS, context, toy_task


@pytest.fixture(params=["always", "never"])
def busy(request, monkeypatch, tmp_path):
    monkeypatch.setenv(runtime.BUSY, request.param)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return request.param == "always"


@pytest.fixture
def said():
    return []


@pytest.fixture
def ctx(tmp_path, said):
    return replace(context(tmp_path / "run"), waiting=Waiting(0.0, said.append))


def task_here(budget_ms):
    task = toy_task(budget_ms=budget_ms, runtime=runtime.name)
    device = Device(host_name(), None, runtime.name, 1, "fp32", is_here=True)
    return replace(task, device=device, limits=limits_of(task.config, device, ()))


@pytest.fixture
def fastest_ms(ctx, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv(runtime.BUSY, "never")
        return measured_bounds(task_here(1.0), ctx).smallest_ms


def test_a_budget_that_is_just_missed_is_refused_by_a_quiet_machine_alone(busy, ctx, fastest_ms):
    task = task_here(0.99 * fastest_ms)
    if not busy:
        with pytest.raises(BudgetError, match="ask for --budget-ms"):
            measured_bounds(task, ctx)
        return
    bounds = measured_bounds(task, ctx)
    assert bounds.least_ms < task.budget_ms < bounds.smallest_ms
    check_bounds(task, bounds)


def test_a_budget_that_is_far_out_of_reach_is_refused_by_any(busy, ctx, fastest_ms):
    with pytest.raises(BudgetError, match="ask for --budget-ms"):
        measured_bounds(task_here(0.5 * fastest_ms), ctx)


def test_a_profile_beside_other_programs_is_wider_and_not_cached(busy, ctx, said, monkeypatch):
    monkeypatch.setattr("edgenas.workflows.stages.profile.SPREAD_SECONDS", 0.1)
    priced = profile(task_here(0.02), ctx)
    path = ctx.folder.path
    assert (path / "table.csv").exists() and read_artefact(path, "bounds", Bounds).smallest_ms > 0
    margin = read_table(path / "table.csv").unclean_margin
    assert (margin > 0) == busy and priced.costs.gate.correction.margin >= margin
    assert cached_table_path(runtime.name, 1).exists() == (not busy)
    assert len(said) == busy, "it is said once"


def test_a_candidate_in_doubt_is_no_miss(busy, ctx, monkeypatch):
    monkeypatch.setattr("edgenas.workflows.stages.profile.SPREAD_SECONDS", 0.1)
    priced = profile(task_here(0.02), ctx)
    (row,) = measure_candidates(priced, {ARCHS[0]: {"accuracy": 0.9}}, ctx, "0").values()
    assert isinstance(row, Candidate) and row.measured_ms is not None
    assert (row.met, row.clean) == ((None, False) if busy else (True, True))
