"""A task and its prices: made once, never changed."""

from dataclasses import FrozenInstanceError

import pytest

from edgenas.errors import EdgeNASError
from edgenas.latency.table import NetRow
from edgenas.workflows.task import narrowed, price
from tests.workflows._tasks import ARCHS, BUDGET_MS, SPACE, table, toy_task


def test_a_task_does_not_change():
    with pytest.raises(FrozenInstanceError):
        toy_task().space = SPACE


def test_what_meets_the_budget_is_the_interval_s_high_end():
    priced = price(toy_task(budget_ms=BUDGET_MS), table())
    gate = priced.costs.gate.many(SPACE, ARCHS)
    assert priced.problem.feasible(ARCHS).tolist() == (gate <= BUDGET_MS).tolist()
    assert 0 < priced.problem.feasible(ARCHS).sum() < len(ARCHS)


def test_other_prices_are_another_record():
    task = toy_task()
    priced = price(task, table())
    slow = [NetRow(SPACE.spec, SPACE.code(arch), 10.0, 11.0, 1) for arch in ARCHS[:8]]
    again = priced.refit(priced.table.extended({}, slow))
    assert again.task is task and again is not priced
    latency = priced.costs.latency.many(SPACE, ARCHS)
    assert (again.costs.latency.many(SPACE, ARCHS) > latency).all()
    assert (priced.costs.latency.many(SPACE, ARCHS) == latency).all()


def test_a_narrowed_task_is_another_one_with_another_identity():
    task = toy_task()
    part = narrowed(task, {"width": (0,)})
    assert part.space.allowed[0] == (0,) and task.space.allowed[0] == (0, 1)
    assert list(part.identity) == ["space", "allowed", "data", "seed"]
    assert part.identity["allowed"] != task.identity["allowed"]


def test_nothing_evaluates_before_a_search_brings_its_evaluator():
    with pytest.raises(EdgeNASError, match="nothing evaluates"):
        price(toy_task(), table()).problem.evaluate(ARCHS[0])
