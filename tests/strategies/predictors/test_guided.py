from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.strategies.predictors.guided import FOLDS, LEAST_COMPARED, GuidedSearch
from edgenas.strategies.predictors.interface import rank_correlation
from edgenas.strategies.predictors.pairs import Pairs
from tests.strategies._synthetic import COSTS, GATE, Accuracy, Toy, leads_over_random, synthetic

SPACE = Toy(5)


class Clueless:
    """Predicts the same of all."""

    fits: list[int] = []

    def __init__(self, space: Toy) -> None: ...

    def fit(self, archs: Sequence[Arch], qualities: Sequence[float], rng: np.random.Generator) -> None:
        self.fits.append(len(archs))

    def predict(self, archs: Sequence[Arch]) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(archs)), np.ones(len(archs))


def run(strategy: GuidedSearch, trials: int, batch: int = 4) -> list[Arch]:
    asked: list[Arch] = []
    while len(asked) < trials:
        archs = strategy.ask(batch)
        asked += archs
        metrics = [strategy.problem.evaluate(arch) for arch in archs]
        strategy.tell([Trial(0, a, m, m["accuracy"], True) for a, m in zip(archs, metrics, strict=True)])
    return asked


@pytest.mark.parametrize("budget_share", [0.1, 0.5])
def test_beats_random_at_equal_trials(tmp_path, budget_share):
    assert leads_over_random(tmp_path, GuidedSearch, SPACE, budget_share, seeds=3, trials=36).mean() > 0


def test_the_better_model_takes_over(rng):
    strategy = GuidedSearch(synthetic(SPACE, 0.5), rng, models=(Clueless, Pairs))
    run(strategy, LEAST_COMPARED - 4)
    assert strategy.chosen == 0
    run(strategy, 8)
    assert strategy.chosen == 1


def test_models_are_compared_when_trials_have_doubled(rng):
    Clueless.fits.clear()
    strategy = GuidedSearch(synthetic(SPACE, 0.5), rng, models=(Pairs, Clueless))
    run(strategy, LEAST_COMPARED + 24)
    assert len(Clueless.fits) == FOLDS and strategy.chosen == 0


def test_new_weights_begin_afresh(rng):
    strategy = GuidedSearch(synthetic(SPACE, 0.5), rng, initial=4)
    run(strategy, 12)
    archs = strategy.ask(2)
    strategy.tell([Trial(0, arch, {"accuracy": 0.1}, 0.1, True, weights_version=1) for arch in archs])
    assert [arch for arch, _ in strategy.trials] == archs
    assert strategy.ask(3)


def test_failed_trials_teach_nothing(rng):
    strategy = GuidedSearch(synthetic(SPACE, 0.5), rng)
    strategy.tell([Trial(0, arch, {}, -1.0, False, error="out of memory") for arch in strategy.ask(3)])
    assert strategy.trials == []


def test_no_budget_no_founder_below_it(rng):
    """Half of the initial are grown until nothing larger is left."""
    problem = Problem(SPACE, COSTS, Objective({GATE: 1e6}), Accuracy(SPACE, 0))
    initial = GuidedSearch(problem, rng, initial=16).ask(16)
    work = COSTS[1].many(SPACE, initial)
    assert (work == work.max()).any() and len(set(work)) > 4


@pytest.mark.parametrize(
    "a, b, expected",
    [([1, 2, 3], [10, 20, 30], 1.0), ([1, 2, 3], [3, 2, 1], -1.0), ([1, 1, 1], [1, 2, 3], 0.0), ([], [], 0.0)],
)
def test_rank_correlation(a, b, expected):
    assert rank_correlation(a, b) == pytest.approx(expected)
