"""Strategies inside of which weights train: when they do, and what it means for rewards."""

from __future__ import annotations

import math

import pytest

from edgenas.exploration.driver import run_search
from edgenas.exploration.problem import Problem
from edgenas.exploration.study import Study
from edgenas.strategies.one_shot.weight_sharing import ControllerWithSharedWeights, WeightSharing
from edgenas.system import plugins
from tests.strategies._synthetic import Toy, built, forget, load_json, synthetic

SPACE = Toy(4)
TRIALS = 24
NAMES = ("enas", "oneshot", "tunas")


def build(name: str, problem: Problem | None = None, **options: str) -> WeightSharing:
    form = plugins.load("strategies", name).reward_form
    made = built(name, problem or synthetic(SPACE, 0.5, form=form), trials=TRIALS, **options)
    assert isinstance(made, WeightSharing)
    return made


def searched(folder, strategy: WeightSharing, evaluator=None) -> tuple[Study, list[tuple[int, int]]]:
    """The study, and (weights version, step) of each batch."""
    seen: list[tuple[int, int]] = []

    def version() -> int:
        seen.append((strategy.evaluator.weights_version, strategy.training.step))
        return seen[-1][0]

    problem = strategy.problem
    if evaluator:
        problem = Problem(problem.space, problem.costs, problem.objective, evaluator)
    study = Study(folder, problem.objective, forget, load_json)
    run_search(problem, strategy, study, max_trials=TRIALS, batch=3, weights_version=version)
    return study, seen


def test_one_shot_weights_are_trained_before_the_first_trial(tmp_path):
    strategy = build("oneshot")
    _, seen = searched(tmp_path, strategy)
    assert set(seen) == {(1, strategy.training.steps)}


@pytest.mark.parametrize("name, before", [("enas", 0.0), ("tunas", 0.25)])
def test_controllers_and_weights_take_turns(tmp_path, name, before):
    strategy = build(name)
    assert isinstance(strategy, ControllerWithSharedWeights)
    study, seen = searched(tmp_path, strategy)
    steps = dict(seen)
    assert list(steps) == [1, 2, 3] and list(steps.values()) == sorted(steps.values())
    assert steps[1] == math.ceil(strategy.training.steps * (before + (1 - before) / 3))
    assert steps[3] == strategy.training.steps
    assert [trial.weights_version for trial in study.trials] == [1] * 8 + [2] * 8 + [3] * 8


def test_a_round_of_rewards_is_of_one_version(tmp_path):
    strategy = build("tunas")
    updates: list[set[int]] = []
    inner = strategy.inner
    assert isinstance(strategy, ControllerWithSharedWeights)
    told: dict[tuple[int, ...], int] = {}
    before, tell = strategy.inner._update, inner.tell

    def update(archs, rewards) -> None:
        updates.append({told[arch] for arch in archs if arch in told and strategy.inner.round})
        before(archs, rewards)

    def telling(trials) -> None:
        told.update({trial.arch: trial.weights_version for trial in trials})
        tell(trials)

    inner._update, inner.tell = update, telling  # type: ignore[attr-defined, method-assign]
    searched(tmp_path, strategy)
    assert sum(map(len, updates)) >= 2 and all(len(versions) <= 1 for versions in updates)


@pytest.mark.parametrize("name, before", [("enas", 0.0), ("tunas", 0.25)])
def test_the_policy_rehearses_once_for_each_step_of_the_weights(tmp_path, name, before):
    strategy = build(name)
    assert isinstance(strategy, ControllerWithSharedWeights)
    inner, rounds = strategy.inner, 0
    rehearse = inner.rehearse

    def counted(accuracies, n) -> None:
        nonlocal rounds
        rounds += n
        rehearse(accuracies, n)

    inner.rehearse = counted  # type: ignore[method-assign]
    searched(tmp_path, strategy)
    learned = (1 - before) * strategy.training.steps
    assert learned - 4 * inner.samples < rounds * inner.samples <= learned + 1


@pytest.mark.parametrize("name", ["enas", "tunas"])
def test_accuracies_of_drifting_weights_are_not_ranked_together(tmp_path, name):
    """The luckiest score is of the first weights: it neither wins nor is remembered as a reward."""
    strategy = build(name)

    def drifting(arch):
        return {"accuracy": 0.9 if strategy.evaluator.weights_version == 1 else 0.1 + 0.001 * sum(arch)}

    study, _ = searched(tmp_path, strategy, drifting)
    assert max(trial.metrics["accuracy"] for trial in study.trials) == 0.9
    assert all(trial.weights_version == 3 for trial in study.best(TRIALS))
    assert all(reward < 0.5 for _, reward in strategy.inner.known.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_what_trains_is_what_scores(name):
    strategy = build(name)
    assert strategy.evaluator.supernet is strategy.training.supernet
    (arch,) = strategy.ask(1)
    assert set(strategy.evaluator(arch)) == {"accuracy", "loss"}


def test_fair_sampling_is_an_option(tmp_path):
    strategy = build("oneshot", sampling="fair")
    study, _ = searched(tmp_path, strategy)
    assert len(study.trials) == TRIALS


def test_paths_obey_a_narrowed_space():
    strategy = build("tunas")
    space = SPACE.restrict({"k0": [1], "width": [0]})
    strategy.narrow(space)
    drawn = []
    before = strategy.training.update
    strategy.training.update = lambda batch, archs: drawn.extend(archs) or before(batch, archs)  # type: ignore[method-assign]
    strategy.ask(4)
    assert drawn and {arch[SPACE.index["k0"]] for arch in drawn} == {1} and {arch[0] for arch in drawn} == {0}
