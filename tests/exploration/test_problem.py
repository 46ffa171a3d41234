from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from edgenas.errors import DataError, EdgeNASError, EnvironmentFault, UsageError
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.study import Study
from edgenas.spaces.sampling import sample
from tests.strategies._synthetic import COSTS, GATE, Toy, synthetic

SPACE = Toy()
SMALLEST = tuple(0 for _ in SPACE.choices)
LARGEST = tuple(len(choice.options) - 1 for choice in SPACE.choices)


def problem(evaluator, form="hard") -> Problem:
    budget = synthetic(SPACE, 0.2).objective.budgets[GATE]
    return Problem(SPACE, COSTS, Objective({GATE: budget}, form=form), evaluator)


def failing(error):
    def evaluator(arch):
        raise error

    return problem(evaluator)


def test_preview_equals_the_costs_of_each_graph(rng):
    archs = [sample(SPACE, rng) for _ in range(20)]
    for arch, metrics in zip(archs, synthetic(SPACE, 0.2).preview(archs), strict=True):
        assert metrics == pytest.approx({cost.metric: cost(SPACE.graph(arch)) for cost in COSTS})


def test_preview_of_some_metrics_and_of_nothing():
    p = synthetic(SPACE, 0.2)
    assert [list(metrics) for metrics in p.preview([SMALLEST], ["macs"])] == [["macs"]]
    assert p.preview([SMALLEST, LARGEST], []) == [{}, {}]
    assert p.preview([]) == [] and p.feasible([]).shape == (0,)


def test_feasible_and_excess_agree_with_the_objective(rng):
    p = synthetic(SPACE, 0.2)
    archs = [SMALLEST, LARGEST, *(sample(SPACE, rng) for _ in range(50))]
    assert p.feasible(archs).tolist() == [p.objective.feasible(m) for m in p.preview(archs)]
    assert np.array_equal(p.violation(archs) == 0, p.feasible(archs))
    assert p.feasible(archs)[0] and not p.feasible(archs)[1]


def test_only_what_the_objective_scores_is_evaluated():
    asked = []
    p = problem(lambda arch: asked.append(arch) or {"accuracy": 0.5})
    assert "accuracy" in p.evaluate(SMALLEST) and "accuracy" not in p.evaluate(LARGEST)
    assert asked == [SMALLEST]


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ZeroDivisionError("loss"), EdgeNASError("diverged")])
def test_a_fault_of_one_architecture_becomes_its_error(error):
    outcome = failing(error).attempt(SMALLEST)
    assert str(error) in outcome.error and type(error).__name__ in outcome.error
    assert GATE in outcome.metrics and outcome.seconds >= 0


@pytest.mark.parametrize("error", [UsageError("x"), DataError("x"), EnvironmentFault("x"), TypeError("x")])
def test_a_fault_of_the_run_is_raised(error):
    with pytest.raises(type(error)):
        failing(error).attempt(SMALLEST)


def test_a_budget_without_a_cost_is_named():
    with pytest.raises(UsageError, match="watts"):
        Problem(SPACE, COSTS, Objective({"watts": 1.0}), lambda arch: {})


def test_outcomes_travel_between_processes():
    outcome = problem(lambda arch: {"accuracy": 0.5}).attempt(SMALLEST)
    assert pickle.loads(pickle.dumps(outcome)) == outcome


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")], ids=["CPU", "GPU"])
def test_what_does_not_fit_in_memory_is_infeasible_and_ends_nothing(tmp_path, error):
    asked = []

    def evaluator(arch):
        asked.append(arch)
        if len(asked) == 1:
            raise error
        return {"accuracy": 0.5}

    p, study = problem(evaluator), Study(tmp_path, problem(evaluator).objective)
    for _ in range(2):
        outcome = p.attempt(SMALLEST)
        study.add(SMALLEST, outcome.metrics, error=outcome.error)
    assert [trial.feasible for trial in study.trials] == [False, True]
    assert type(error).__name__ in study.trials[0].error
