from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from edgenas.exploration import pruning
from edgenas.exploration.driver import run_search
from edgenas.exploration.feasible import uniform
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.pruning import Pruning, absences, best_of, comparable
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.spaces.base import SearchSpace
from edgenas.strategies.evolution import Evolution
from edgenas.strategies.random import Random
from tests.strategies._synthetic import COSTS, GATE, Toy, load_json, save_json, synthetic

SPACE = Toy(4)
TRIALS = 80


class Keeps(Strategy):
    """Proposes nothing; remembers the spaces it was given."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.spaces: list[SearchSpace] = []

    def narrow(self, space: SearchSpace) -> None:
        self.spaces.append(space)

    def ask(self, n: int = 1) -> list:
        return []

    def tell(self, trials) -> None: ...

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state) -> None: ...


def trial(number: int, arch=(0,), *, accuracy: float = 0.5, ms: float = 1.0, version: int = 0, **options) -> Trial:
    metrics = {"accuracy": accuracy, GATE: ms}
    return Trial(number, arch, metrics, accuracy, options.pop("feasible", True), version, **options)


def disliking(problem: Problem, bad: dict[str, int]) -> Problem:
    """A problem whose accuracy suffers from these options, and is otherwise noise."""

    def evaluator(arch):
        missed = sum(arch[SPACE.index[name]] == option for name, option in bad.items())
        return {"accuracy": 0.9 - 0.3 * missed + 1e-3 * (hash(arch) % 97) / 97}

    return Problem(problem.space, problem.costs, problem.objective, evaluator)


def open_study(folder, problem: Problem, trials: int = TRIALS, seed: int = 0, **options) -> Study:
    """A study of uniformly random trials."""
    study = Study(folder, problem.objective, save_json, load_json, **options)
    for arch in uniform(problem.space, np.random.default_rng(seed), trials):
        study.add(arch, problem.evaluate(arch))
    return study


def pruned(problem: Problem, study: Study, planned: int = TRIALS) -> tuple[list[SearchSpace], list[str]]:
    strategy, said = Keeps(problem), []
    Pruning(problem, strategy, planned, np.random.default_rng(1), said.append)(study)
    return strategy.spaces, said


def dropped(space: SearchSpace) -> set[tuple[str, int]]:
    pairs = zip(space.choices, space.allowed, strict=True)
    return {(c.name, o) for c, allowed in pairs for o in range(len(c.options)) if o not in allowed}


# What counts as the best, and as absent


def test_comparable_are_feasible_scored_trials_of_the_newest_weights():
    trials = [trial(0, version=0), trial(1, version=1), trial(2, version=1, feasible=False), trial(3, version=1)]
    trials[3].metrics.pop("accuracy")
    assert [t.number for t in comparable(trials, "accuracy")] == [1]
    assert [t.number for t in comparable(trials[:1], "accuracy")] == [0]
    assert comparable([], "accuracy") == []


@pytest.mark.parametrize("block", [2, 512])
def test_the_best_are_the_share_of_quality_and_the_front(monkeypatch, block):
    monkeypatch.setattr(pruning, "BLOCK", block)
    accuracies, ms = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], [9, 8, 7, 1, 9, 9, 0.5, 9]
    trials = [trial(i, accuracy=a, ms=m) for i, (a, m) in enumerate(zip(accuracies, ms, strict=True))]
    assert sorted(t.number for t in best_of(trials, "accuracy", [])) == [0, 1]
    assert sorted(t.number for t in best_of(trials, "accuracy", [GATE])) == [0, 1, 2, 3, 6]
    assert best_of([], "accuracy", [GATE]) == []


@given(st.integers(1, 60), st.data())
def test_chance_is_hypergeometric(total, data):
    marked, drawn = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    drawn = min(drawn, total - marked)
    expected = hypergeom(total, marked, drawn).pmf(0)
    assert pruning._all_missed(total, marked, drawn) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_absent_are_options_often_tried_that_the_best_do_not_have(total, best, seed):
    rng = np.random.default_rng(seed)
    archs = uniform(SPACE, rng, total)
    chosen = sorted(archs)[: min(best, total)]  # those of low first options: plenty is absent
    for absence in absences(SPACE, archs, chosen):
        assert all(arch[absence.choice] != absence.option for arch in chosen)
        assert absence.tried == sum(arch[absence.choice] == absence.option for arch in archs) > 0
        assert absence.chance < pruning.CHANCE
    if not chosen or len(chosen) == total:
        assert absences(SPACE, archs, chosen) == []


# Before the search


def test_before_the_search_options_that_no_feasible_sample_has_are_dropped(tmp_path):
    """Width is static, and one of its options is out of reach: one option may be all that is left."""
    narrow, wide = (SPACE.restrict({"width": [option]}) for option in (0, 1))
    rng = np.random.default_rng(5)
    fastest_wide = min(COSTS[0].many(wide, uniform(wide, rng, 4000)))
    problem = Problem(SPACE, COSTS, Objective({GATE: 0.999 * fastest_wide}), lambda arch: {"accuracy": 0.5})
    assert problem.feasible(uniform(narrow, rng, 200)).any()
    (space,), said = pruned(problem, Study(tmp_path, problem.objective, save_json, load_json), planned=2)
    assert ("width", 1) in dropped(space)
    assert any(line.startswith("pruned: width 8 (in ") and "samples" in line for line in said)


@pytest.mark.parametrize("budget_ms", [1e-9, 1e9])
def test_a_budget_that_nothing_or_everything_meets_drops_nothing(tmp_path, budget_ms):
    problem = Problem(SPACE, COSTS, Objective({GATE: budget_ms}), lambda arch: {"accuracy": 0.5})
    spaces, said = pruned(problem, Study(tmp_path, problem.objective, save_json, load_json))
    assert spaces == [] and len(said) == 1


# During it


def test_options_that_spoil_everything_are_dropped_and_named(tmp_path):
    problem = disliking(synthetic(SPACE, 2.0), {"k0": 2})
    spaces, said = pruned(problem, open_study(tmp_path, problem))
    assert ("k0", 2) in dropped(spaces[-1])
    assert said[0] == "pruning before the search and after 20, 40, 60 trials (--no-prune: not at all)"
    assert any(line.startswith("pruned: k0 5 (in ") and "best)" in line for line in said)


def test_two_options_stay_however_bad_the_others_are(tmp_path):
    problem = disliking(synthetic(SPACE, 2.0), {"e0": 1})
    for space in pruned(problem, open_study(tmp_path, problem))[0]:
        assert all(len(allowed) >= 2 for allowed in space.allowed)
    problem = Problem(SPACE, COSTS, problem.objective, lambda arch: {"accuracy": 1 - arch[SPACE.index["k0"]] / 2})
    for space in pruned(problem, open_study(tmp_path / "other", problem))[0]:
        assert len(space.allowed[SPACE.index["k0"]]) >= 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("budget_share", [0.1, 0.4, 2.0])
def test_what_is_dropped_is_never_among_the_best_and_never_comes_back(tmp_path, budget_share, seed):
    problem = synthetic(SPACE, budget_share, seed=seed)
    study = open_study(tmp_path, problem, seed=seed)
    last: set[tuple[str, int]] = set()
    strategy = Keeps(problem)
    pruning_ = Pruning(problem, strategy, TRIALS, np.random.default_rng(1), lambda text: None)
    for point in (0, 20, 40, 60):
        study_then = Study(tmp_path / str(point), problem.objective, save_json, load_json)
        study_then.trials = study.trials[:point]
        pruning_(study_then)
        now = dropped(strategy.spaces[-1]) if strategy.spaces else set()
        best = best_of(comparable(study_then.trials, "accuracy"), "accuracy", [GATE])
        assert last <= now
        assert not {(c.name, o) for t in best for c, o in zip(SPACE.choices, t.arch, strict=True)} & (now - last)
        assert all(math.prod(map(len, space.allowed)) > 0 for space in strategy.spaces)
        last = now


def test_points_look_at_the_trials_before_them_and_at_nothing_else(tmp_path):
    """A study seen after each trial, and one seen late, with other trials after the last point: the same spaces."""
    problem = disliking(synthetic(SPACE, 2.0), {"k0": 2, "k1": 2})
    study = open_study(tmp_path / "a", problem)
    late = open_study(tmp_path / "b", problem, trials=0)
    late.trials = [*study.trials[:60], *(trial(i, (1,) * 10, accuracy=0.99) for i in range(60, TRIALS))]
    stepwise, growing = Keeps(problem), open_study(tmp_path / "c", problem, trials=0)
    prune = Pruning(problem, stepwise, TRIALS, np.random.default_rng(1), lambda text: None)
    for count in range(TRIALS + 1):
        growing.trials = study.trials[:count]
        prune(growing)
    expected = [space.allowed for space in stepwise.spaces]
    assert expected and [space.allowed for space in pruned(problem, late)[0]] == expected


def test_room_is_left_for_the_trials_to_come(tmp_path):
    problem = disliking(synthetic(SPACE, 2.0), {"k0": 2, "k3": 2})
    few = open_study(tmp_path / "few", problem)
    assert pruned(problem, few)[0]
    few_left = SPACE.restrict({c.name: [0] for c in SPACE.choices if c.name not in ("k0", "k3", "e0")})
    small = Problem(few_left, problem.costs, problem.objective, problem.evaluator)
    assert pruned(small, open_study(tmp_path / "small", small))[0] == []


# In a search


@pytest.mark.parametrize("kind", [Random, Evolution])
@pytest.mark.parametrize("killed_after", [0, 39, 61])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, kind, killed_after):
    """Checkpoints happen every second batch; the process dies before a point, at it, and after several."""
    problem = disliking(synthetic(SPACE, 2.0), {"k0": 2, "k3": 2})

    def run(folder, problem):
        ticks = iter(range(1000))
        study = Study(folder, problem.objective, save_json, load_json, every_s=2, clock=lambda: next(ticks))
        strategy, said = kind(problem, np.random.default_rng(3)), []
        prune = Pruning(problem, strategy, TRIALS, np.random.default_rng(1), said.append)
        prune(study)
        study.restore(strategy)
        run_search(problem, strategy, study, max_trials=TRIALS, batch=2, prune=prune)
        assert len(said) > 1
        return [(t.arch, t.metrics, t.reward) for t in study.trials], strategy.problem.space.allowed, said

    calls = iter(range(1000))

    def dying(arch):
        if next(calls) == killed_after:
            raise KeyboardInterrupt
        return problem.evaluator(arch)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", Problem(problem.space, problem.costs, problem.objective, dying))
    assert run(tmp_path / "killed", problem) == run(tmp_path / "whole", problem)
