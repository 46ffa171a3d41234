"""What measurements leave of the budget is used up."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edgenas.workflows.stages import fill as module
from edgenas.workflows.stages.fill import STREAMS, fill, larger, room
from edgenas.workflows.stages.measured import RESERVE
from edgenas.workflows.task import Priced, price
from tests.workflows._tasks import ARCHS, table, toy_task
from tests.workflows.stages.test_candidates import measured

CTX = SimpleNamespace(rng=lambda name: np.random.default_rng(0), progress=lambda *done: None)


def within_share(share: float) -> tuple[Priced, tuple[int, ...]]:
    """A task within a share of what the largest network is sure to take, and the largest that is predicted to fit."""
    most_ms = float(price(toy_task(budget_ms=1.0), table()).costs.gate.many(toy_task().space, ARCHS).max())
    priced = price(toy_task(budget_ms=share * most_ms, finalists=2), table())
    feasible = [arch for arch, fits in zip(ARCHS, priced.problem.feasible(ARCHS), strict=True) if fits]
    return priced, max(feasible, key=lambda arch: priced.costs.macs(priced.space.graph(arch)))


def by_macs(priced: Priced) -> SimpleNamespace:
    """An evaluator for which more MACs are better."""
    return SimpleNamespace(final=lambda arch: {"accuracy": priced.costs.macs(priced.space.graph(arch)) / 1e9})


@pytest.mark.parametrize("factors", [[0.5], [0.8], [1.2], [0.7, 0.8, 3.0]])
def test_larger_networks_fit_by_what_was_measured(factors):
    priced, start = within_share(0.8)
    known = {arch: measured(priced, [arch], f)[arch] for arch, f in zip([start, *ARCHS], factors, strict=False)}
    roomy, asked = room(priced, known), []
    strategy = SimpleNamespace(within=lambda problem: asked.append(problem) or [])
    found = larger(priced, roomy, by_macs(priced), strategy, [start], np.random.default_rng(0), CTX.progress)
    assert asked == [roomy] and found and all(roomy.feasible(list(found)))
    expected_ms = np.median(factors) * priced.costs.latency.many(priced.space, list(found))
    assert (expected_ms <= priced.task.budget_ms / (1 + RESERVE) / 1.01 * 1.0001).all()


def test_disturbed_samples_do_not_tell_what_is_left():
    priced, start = within_share(0.8)
    (row,) = measured(priced, [start], 0.5).values()
    for worse in ({"clean": False}, {"repeat_error": 0.2}, {"measured_ms": None, "repeat_error": None}):
        assert room(priced, {start: replace(row, **worse)}) is None


def test_what_the_strategy_knows_is_compared_with_what_is_drawn():
    priced, start = within_share(0.8)
    known = min(ARCHS, key=lambda arch: priced.costs.macs(priced.space.graph(arch)))  # nothing is enlarged to that
    evaluator = SimpleNamespace(final=lambda arch: {"accuracy": 0.9 if arch == known else 0.5})
    strategy = SimpleNamespace(within=lambda problem: [known])
    roomy = room(priced, measured(priced, [start], 0.5))
    found = larger(priced, roomy, evaluator, strategy, [start], np.random.default_rng(0), CTX.progress)
    assert next(iter(found)) == known and len(found) > 1


@pytest.mark.parametrize("met", [(None, False), (None, None), (False, True)])
def test_more_is_looked_for_where_too_few_are_sure_to_fit(monkeypatch, met):
    priced, start = within_share(0.8)
    streams = []

    def times(priced, scores, ctx, stream):
        streams.append(stream)
        rows = measured(priced, scores, 0.9)
        said = met if stream == STREAMS[0] else (True, True)
        return {arch: replace(row, met=m) for (arch, row), m in zip(rows.items(), (*said, False, False), strict=False)}

    monkeypatch.setattr(module, "measure_candidates", times)
    fill(priced, by_macs(priced), SimpleNamespace(within=lambda problem: []), measured(priced, [start], 0.5), CTX)
    assert streams[:2] == list(STREAMS[:2])


@pytest.mark.parametrize("slower", [1.0, 3.0])
def test_what_is_too_large_after_all_says_by_how_much(monkeypatch, slower):
    """Larger networks take `slower` times as long as the first measurement made expect."""
    priced, start = within_share(0.8)
    streams = []

    def times(priced, scores, ctx, stream):
        streams.append(stream)
        rows = measured(priced, scores, 0.5 * slower)
        most_ms = priced.task.budget_ms / (1 + RESERVE) / 1.01 * 1.0001
        return {arch: replace(row, met=bool(row.measured_ms <= most_ms)) for arch, row in rows.items()}

    monkeypatch.setattr(module, "measure_candidates", times)
    strategy = SimpleNamespace(within=lambda problem: [])
    found = fill(priced, by_macs(priced), strategy, measured(priced, [start], 0.5), CTX)
    assert tuple(streams) == STREAMS[: len(streams)] and (len(streams) > 1) == (slower > 1)
    assert set(found.rows) <= set(found.scores) and any(row.met for row in found.rows.values())
