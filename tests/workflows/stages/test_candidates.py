"""In which order candidates stand for election."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edgenas.exploration.objective import Objective
from edgenas.workflows.stages import candidates as module
from edgenas.workflows.stages import fill as fill_module
from edgenas.workflows.stages.artefacts import Candidate
from edgenas.workflows.stages.candidates import by_rank, candidates, select
from edgenas.workflows.stages.measured import measure_candidates
from edgenas.workflows.task import price
from tests.workflows._tasks import ARCHS, table, toy_task

MACS = {(0,): 10, (1,): 20, (2,): 30, (3,): 40}


def run(finalists: int, images: int = 10_000, teacher: object = None) -> SimpleNamespace:
    macs = SimpleNamespace(many=lambda space, archs: np.array([MACS[arch] for arch in archs]))
    config, data = SimpleNamespace(finalists=finalists), SimpleNamespace(validation=range(images))
    problem = SimpleNamespace(objective=Objective({}, quality="agreement" if teacher else "accuracy"))
    costs = SimpleNamespace(macs=macs)
    return SimpleNamespace(config=config, data=data, space=None, costs=costs, teacher=teacher, problem=problem)


@pytest.mark.parametrize(
    ("accuracies", "finalists", "images", "order"),
    [
        ((0.9, 0.8, 0.7, 0.6), 1, 10_000, [0, 1, 2, 3]),
        ((0.9, 0.8, 0.7, 0.6), 2, 10_000, [0, 3, 1, 2]),
        ((0.9, 0.8, 0.7, 0.6), 3, 10_000, [0, 1, 3, 2]),
        ((0.9, 0.8, 0.7, 0.6), 4, 10_000, [0, 1, 2, 3]),
        ((0.8, 0.7, 0.6, 0.9), 2, 10_000, [3, 0, 1, 2]),
        ((0.9, 0.9, 0.9, 0.6), 1, 10_000, [2, 1, 0, 3]),
        ((0.9, 0.899, 0.7, 0.6), 1, 10_000, [1, 0, 2, 3]),
        ((0.9, 0.899, 0.7, 0.6), 1, 1_000_000, [0, 1, 2, 3]),
    ],
)
def test_best_first_larger_among_equals_and_the_largest_among_several_finalists(accuracies, finalists, images, order):
    scores = {arch: {"accuracy": accuracy} for arch, accuracy in zip(MACS, accuracies, strict=True)}
    assert by_rank(run(finalists, images), scores) == [(i,) for i in order]


def test_cuts_of_a_teacher_go_by_agreement_alone():
    shares = zip(MACS, (0.9, 0.899, 0.9, 0.6), strict=True)
    scores = {arch: {"accuracy": 1 - share, "agreement": share} for arch, share in shares}
    assert by_rank(run(2, 10, teacher="teacher"), scores) == [(2,), (0,), (1,), (3,)]


def test_nothing_is_ranked_where_there_is_nothing():
    assert by_rank(run(2), {}) == []


class Proposing:
    """A strategy that recommends what it is told to."""

    def __init__(self, archs):
        self.archs = archs

    def recommend(self, study, k):
        return self.archs

    def within(self, problem):
        return []


def test_where_the_budget_does_not_bind_the_largest_network_is_a_finalist():
    priced = price(toy_task(budget_ms=1.0, finalists=2), table())
    macs = priced.costs.macs.many(priced.space, ARCHS)
    scores = SimpleNamespace(own_weights=False, final=lambda arch: {"accuracy": 0.9 - 0.1 * sum(arch)})
    study = SimpleNamespace(best=lambda k: [], candidates=lambda: [])
    ctx = SimpleNamespace(rng=lambda name: np.random.default_rng(0), progress=lambda *done: None)
    smallest = ARCHS[int(np.argmin(macs))]
    found = candidates(priced, scores, study, Proposing([smallest]), ctx, 0)
    largest = max(found, key=lambda arch: priced.costs.macs(priced.space.graph(arch)))
    assert priced.costs.macs(priced.space.graph(largest)) == macs.max()
    assert largest in by_rank(priced, found)[:2], "though it scores worst on shared weights"


def measured(priced, archs, factor):
    """What measuring gives on a machine whose networks take `factor` times as long as predicted."""
    ms = priced.costs.latency.many(priced.space, archs)
    rows = (Candidate(priced.space.code(a), 0.5, m, factor * m, 0.01, True) for a, m in zip(archs, ms, strict=True))
    return dict(zip(archs, rows, strict=True))


@pytest.mark.parametrize("slow_minutes", [0, 1, 2])
def test_what_missed_in_a_slow_minute_is_measured_again(monkeypatch, slow_minutes):
    """The first measurements are taken in it: all takes ten times as long."""
    task = toy_task(budget_ms=1.0, finalists=2)
    most_ms = float(price(task, table()).costs.gate.many(task.space, ARCHS).max())
    task = toy_task(budget_ms=1.1 * most_ms, finalists=2)
    priced = price(replace(task, device=replace(task.device, is_here=True)), table())
    minutes = []

    def times(priced, scores, ctx, stream):
        minutes.append(stream)
        factor = 10.0 if len(minutes) <= slow_minutes else 1.0
        rows = measured(priced, scores, factor)
        return {arch: replace(row, met=bool(row.measured_ms <= priced.task.budget_ms)) for arch, row in rows.items()}

    monkeypatch.setattr(module, "measure_candidates", times)
    monkeypatch.setattr(fill_module, "measure_candidates", times)
    monkeypatch.setattr(module, "refitted", lambda priced, misses: priced)
    best = priced.costs.macs.many(priced.space, ARCHS)
    accuracy = dict(zip(ARCHS, 0.5 + 0.1 * best / best.max(), strict=True))
    evaluator = SimpleNamespace(own_weights=False, final=lambda arch: {"accuracy": accuracy[arch]})
    study = SimpleNamespace(best=lambda k: [], candidates=lambda: [])
    strategy = Proposing(sorted(ARCHS, key=lambda arch: -accuracy[arch]))
    strategy.notes = ()
    ctx = SimpleNamespace(rng=lambda name: np.random.default_rng(0), progress=lambda *done: None)
    found = select(priced, evaluator, study, strategy, ctx, earlier=0, excluded=frozenset())
    largest = priced.space.code(max(ARCHS, key=lambda arch: accuracy[arch]))
    assert largest in found.finalists
    assert ("again" in minutes) == (slow_minutes > 0)


def test_where_there_is_nothing_to_measure_nothing_is():
    task = toy_task(budget_ms=1.0)
    priced = price(replace(task, device=replace(task.device, is_here=True)), table())
    assert measure_candidates(priced, {}, SimpleNamespace(), "none") == {}
