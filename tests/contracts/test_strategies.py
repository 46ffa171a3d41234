"""What every strategy promises, for every strategy file."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from edgenas.cost.base import CostModel
from edgenas.errors import UsageError
from edgenas.exploration.driver import run_search
from edgenas.exploration.feasible import networks
from edgenas.exploration.objective import FORMS, Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study, Trial
from edgenas.graph.graph import Graph
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import is_allowed
from edgenas.system import checkpoint, plugins
from tests.strategies._synthetic import COSTS, GATE, Accuracy, Toy, built, synthetic

STRATEGIES = plugins.names("strategies")
SPACE = Toy(4)
TRIALS = 24

pytestmark = pytest.mark.parametrize("name", STRATEGIES)


def build(name: str, problem: Problem, seed: int = 0) -> Strategy:
    return built(name, problem, seed, trials=TRIALS)


def is_learning(name: str) -> bool:
    """Whether it trains weights as it searches: a network may come again, and one size of networks may be all."""
    return bool(plugins.load("strategies", name).trains_weights)


def study_in(folder, problem: Problem, **options) -> Study:
    return Study(folder, problem.objective, checkpoint.save, checkpoint.load, **options)


def searched(folder, name: str, problem: Problem, *, seed: int = 0, trials: int = TRIALS, batch: int = 3) -> Study:
    study = study_in(folder, problem)
    run_search(problem, build(name, problem, seed), study, max_trials=trials, batch=batch)
    return study


def history(study: Study) -> list[tuple]:
    return [(trial.arch, trial.metrics, trial.reward) for trial in study.trials]


def test_names_its_reward_form(name):
    assert plugins.load("strategies", name).reward_form in FORMS


@pytest.mark.parametrize("budget_share", [0.05, 0.5, 2.0])
def test_proposals_are_valid_scored_and_new(tmp_path, name, budget_share):
    problem = synthetic(SPACE, budget_share)
    study = searched(tmp_path, name, problem)
    assert len(study.trials) == TRIALS or is_learning(name) and study.trials
    for trial in study.trials:
        SPACE.check(trial.arch)
        assert problem.objective.scored(trial.metrics) and math.isfinite(trial.reward)
    assert is_learning(name) or len(set(networks(SPACE, [trial.arch for trial in study.trials]))) == TRIALS


@pytest.mark.parametrize("n", [1, 2, 7])
def test_ask_gives_one_to_n(name, n):
    problem = synthetic(SPACE, 0.3)
    strategy = build(name, problem)
    for _ in range(4):
        archs = strategy.ask(n)
        assert 1 <= len(archs) <= n
        strategy.tell([Trial(0, arch, problem.evaluate(arch), 0.5, True) for arch in archs])


def test_the_seed_decides(tmp_path, name):
    problem = synthetic(SPACE, 0.3)
    first, again, other = (
        history(searched(tmp_path / run, name, problem, seed=seed)) for run, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again != other


@pytest.mark.parametrize("killed_after", [0, 5, 17])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, name, killed_after):
    problem = synthetic(SPACE, 0.3)
    calls = iter(range(1000))

    def dying(arch):
        if next(calls) == killed_after:
            raise KeyboardInterrupt
        return problem.evaluator(arch)

    def run(folder, problem):
        study, strategy = study_in(folder, problem, every_s=0.0), build(name, problem)
        study.restore(strategy)
        run_search(problem, strategy, study, max_trials=TRIALS, batch=2)
        return history(study), strategy.recommend(study, 3)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", Problem(problem.space, problem.costs, problem.objective, dying))
    assert run(tmp_path / "killed", problem) == run(tmp_path / "whole", problem)


def test_a_state_is_a_snapshot(name):
    """What happens after `state_dict` does not change it."""
    problem = synthetic(SPACE, 0.3)

    def advance(strategy: Strategy, steps: int) -> list[Sequence]:
        asked = []
        for _ in range(steps):
            asked.append(strategy.ask(2))
            strategy.tell([Trial(0, a, m := problem.evaluate(a), m["accuracy"], True) for a in asked[-1]])
        return asked

    strategy = build(name, problem)
    advance(strategy, 6)
    state = strategy.state_dict()
    expected = advance(strategy, 6)
    restored = build(name, problem, seed=9)
    restored.load_state_dict(state)
    assert advance(restored, 6) == expected


@pytest.mark.parametrize("form", FORMS)
def test_failed_trials_are_survived(tmp_path, name, form):
    problem = synthetic(SPACE, 0.3, form=form)
    calls = iter(range(1000))

    def unlucky(arch):
        match next(calls) % 3:
            case 0:
                raise RuntimeError("out of memory")
            case 1:
                return {"accuracy": math.nan}
        return problem.evaluator(arch)

    study = searched(tmp_path, name, Problem(SPACE, COSTS, problem.objective, unlucky))
    assert len(study.trials) == TRIALS and sum(trial.error is None for trial in study.trials) == TRIALS // 3


def test_equal_rewards_are_survived(tmp_path, name):
    problem = synthetic(SPACE, 0.3)
    level = Problem(SPACE, COSTS, problem.objective, lambda arch: {"accuracy": 0.5})
    assert len(searched(tmp_path, name, level).trials) == TRIALS


@pytest.mark.parametrize("form", FORMS)
def test_a_budget_out_of_reach_ends_the_search(tmp_path, name, form):
    problem = Problem(SPACE, COSTS, Objective({GATE: 1e-6}, form=form), Accuracy(SPACE, 0))
    study = searched(tmp_path, name, problem)
    assert study.trials == [] and study.best() == []


class Islands(CostModel):
    """Few architectures are cheap, and hardly any of them are neighbours."""

    metric = GATE

    def __call__(self, graph: Graph) -> float:
        assert graph.arch is not None
        return 1.0 + sum(i * option for i, option in enumerate(graph.arch, start=1)) % 7


def test_a_fragmented_feasible_set(tmp_path, name):
    """Single changes lead from one island to none other. A strategy may refuse the cost, naming it."""
    problem = Problem(SPACE, (Islands(), COSTS[1]), Objective({GATE: 1.5}), Accuracy(SPACE, 0))
    try:
        study = searched(tmp_path, name, problem)
    except UsageError as refusal:
        assert GATE in str(refusal)
        return
    archs = [trial.arch for trial in study.trials]
    assert (len(archs) == TRIALS or is_learning(name) and archs) and problem.feasible(archs).all()
    assert is_learning(name) or len(set(networks(SPACE, archs))) == TRIALS


def test_a_budget_that_does_not_bind(tmp_path, name):
    problem = Problem(SPACE, COSTS, Objective({GATE: 1e6}), Accuracy(SPACE, 0))
    study = searched(tmp_path, name, problem)
    assert len(study.trials) == TRIALS and all(trial.feasible for trial in study.trials)


def test_without_any_budget(tmp_path, name):
    problem = Problem(SPACE, COSTS, Objective({}), Accuracy(SPACE, 0))
    assert len(searched(tmp_path, name, problem).trials) == TRIALS


@pytest.mark.parametrize("form", FORMS)
def test_recommended_are_feasible_new_to_each_other_and_at_most_k(tmp_path, name, form):
    problem = synthetic(SPACE, 0.2, form=form)
    study, strategy = study_in(tmp_path, problem), build(name, problem)
    run_search(problem, strategy, study, max_trials=TRIALS)
    archs = strategy.recommend(study, 5)
    assert 1 <= len(archs) <= 5
    assert problem.feasible(archs).all() and len(set(networks(SPACE, archs))) == len(archs)
    assert archs == strategy.recommend(study, 5)


def test_recommended_before_any_trial_are_feasible(tmp_path, name):
    problem = synthetic(SPACE, 0.2)
    assert problem.feasible(build(name, problem).recommend(study_in(tmp_path, problem), 3)).all()


def test_a_restricted_space_is_obeyed(tmp_path, name):
    space = SPACE.restrict({"k0": [1], "e1": [0, 1], "depth": [0, 2]})
    for trial in searched(tmp_path, name, synthetic(space, 0.5)).trials:
        assert is_allowed(space, trial.arch)


def test_a_space_narrowed_in_the_middle_of_a_search_is_obeyed(tmp_path, name):
    problem = synthetic(SPACE, 0.5)
    space = SPACE.restrict({"k0": [1], "k1": [0, 2], "e1": [1]})
    study, strategy = study_in(tmp_path, problem), build(name, problem)
    run_search(problem, strategy, study, max_trials=6, batch=3)
    strategy.narrow(space)
    run_search(problem, strategy, study, max_trials=18, batch=3)
    assert len(study.trials) == 18
    for trial in study.trials[6:]:
        assert is_allowed(space, trial.arch)


def test_one_architecture_is_proposed_once_then_the_search_ends(tmp_path, name):
    only = SPACE.restrict({choice.name: [0] for choice in SPACE.choices})
    problem = Problem(only, COSTS, Objective({GATE: 1e6}), Accuracy(only, 0))
    study, strategy = study_in(tmp_path, problem), build(name, problem)
    assert run_search(problem, strategy, study, max_trials=10) == "exhausted"
    assert [trial.arch for trial in study.trials] == [(0,) * len(SPACE.choices)]
    assert strategy.recommend(study, 3) == [study.trials[0].arch]


def test_a_small_space_is_exhausted(tmp_path, name):
    few = SPACE.restrict({choice.name: [0] for choice in SPACE.choices if choice.name not in ("k0", "e0")})
    problem = Problem(few, COSTS, Objective({GATE: 1e6}), Accuracy(few, 0))
    study = searched(tmp_path, name, problem, trials=20)
    assert len(study.trials) == 6 or is_learning(name)
    assert len(set(networks(few, [trial.arch for trial in study.trials]))) <= 6


def test_works_on_mbconv(tmp_path, name):
    space = build_space("mbconv", (3, 32, 32), 10).restrict({"width": [0], "resolution": [0]})
    problem = synthetic(space, 0.2)
    study = searched(tmp_path, name, problem, trials=6)
    assert len(study.trials) == 6 and all(problem.objective.scored(trial.metrics) for trial in study.trials)
