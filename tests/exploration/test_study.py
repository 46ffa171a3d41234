from __future__ import annotations

import hashlib
import json
import math

import pytest

from edgenas.errors import CheckpointError
from edgenas.exploration.objective import Objective
from edgenas.exploration.study import CHECKPOINT, TRIALS, Study, read_trials
from edgenas.exploration.trial import Trial
from tests.strategies._synthetic import load_json, save_json

MS = "latency_ms@test"
OBJECTIVE = Objective({MS: 20.0})


class Counter:
    """A strategy whose state is how many trials it was told of."""

    def __init__(self) -> None:
        self.told = 0

    def state_dict(self):
        return {"told": self.told}

    def load_state_dict(self, state):
        self.told = state["told"]


def opened(folder, **options) -> Study:
    return Study(folder, OBJECTIVE, save_json, load_json, **options)


def filled(folder, trials: int, checkpoint_at: int | None = None) -> Study:
    study, strategy = opened(folder), Counter()
    for number in range(trials):
        study.add((number, 0), {MS: 10.0, "accuracy": 0.5 + number / 100})
        strategy.told += 1
        if number + 1 == checkpoint_at:
            study.checkpoint(strategy, force=True)
    return study


def test_a_trial_survives_its_line():
    trial = Trial(3, (1, 0, 2), {MS: 0.1 + 0.2}, 0.7, True, 2, "RuntimeError: a\nb", 1.5)
    assert Trial.parse(trial.line().encode()) == trial
    assert trial.line().count("\n") == 1


@pytest.mark.parametrize(
    "metrics, error, feasible, reward",
    [
        ({MS: 20.0, "accuracy": 0.7}, None, True, 0.7),
        ({MS: 30.0}, None, False, -0.5),
        ({MS: 10.0}, "RuntimeError: out of memory", False, -1.0),
        ({MS: 10.0, "accuracy": 0.9}, "RuntimeError: died while saving", False, -1.0),
    ],
)
def test_add_judges(tmp_path, metrics, error, feasible, reward):
    trial = opened(tmp_path).add((0,), metrics, error=error)
    assert (trial.feasible, trial.reward, trial.error) == (feasible, pytest.approx(reward), error)


@pytest.mark.parametrize(
    "metrics", [{MS: 10.0, "accuracy": math.nan}, {MS: math.inf, "accuracy": 0.9}, {MS: 10.0, "loss": -math.inf}]
)
def test_what_is_not_a_number_fails_the_trial_and_stays_out_of_the_file(tmp_path, metrics):
    study = opened(tmp_path)
    trial = study.add((0,), metrics)
    assert "not a number" in trial.error and not trial.feasible and math.isfinite(trial.reward)
    json.loads((tmp_path / TRIALS).read_text(), parse_constant=pytest.fail)
    assert read_trials(tmp_path) == [trial]


def test_reopened_at_a_checkpoint_nothing_is_lost(tmp_path):
    trials = filled(tmp_path, 5, checkpoint_at=5).trials
    study, strategy = opened(tmp_path), Counter()
    study.restore(strategy)
    assert study.trials == trials and strategy.told == 5 and study.notices == []


def test_trials_beyond_the_checkpoint_are_cut_and_numbered_again(tmp_path):
    filled(tmp_path, 5, checkpoint_at=3)
    study, strategy = opened(tmp_path), Counter()
    study.restore(strategy)
    assert [t.number for t in study.trials] == [0, 1, 2] and strategy.told == 3
    assert any("2 trials" in notice for notice in study.notices)
    assert study.add((9, 9), {MS: 1.0, "accuracy": 0.1}).number == 3
    assert read_trials(tmp_path) == study.trials


def test_without_a_checkpoint_all_trials_are_cut(tmp_path):
    filled(tmp_path, 5)
    study, strategy = opened(tmp_path), Counter()
    study.restore(strategy)
    assert study.trials == [] and strategy.told == 0 and (tmp_path / TRIALS).read_bytes() == b""


@pytest.mark.parametrize("kept_bytes", [1, 20])
def test_a_torn_last_line_is_dropped_and_reported(tmp_path, kept_bytes):
    trials = filled(tmp_path, 3, checkpoint_at=3).trials
    with (tmp_path / TRIALS).open("a") as file:
        file.write(trials[0].line()[:kept_bytes])
    assert read_trials(tmp_path) == trials
    study = opened(tmp_path)
    assert study.trials == trials and any("torn" in notice for notice in study.notices)
    assert opened(tmp_path).notices == []


@pytest.mark.parametrize(
    "damage, named",
    [
        (lambda lines: lines[:1], "has 1 trials, the checkpoint 3"),
        (lambda lines: [lines[0], "{}", lines[2]], "line 2"),
        (lambda lines: [lines[0], lines[2], lines[1]], "line 2 holds trial 2"),
    ],
)
def test_trials_that_do_not_fit_the_checkpoint_are_refused(tmp_path, damage, named):
    filled(tmp_path, 3, checkpoint_at=3)
    path = tmp_path / TRIALS
    path.write_text("".join(line + "\n" for line in damage(path.read_text().splitlines())))
    with pytest.raises(CheckpointError, match=named):
        opened(tmp_path)


def test_the_folder_may_move(tmp_path):
    trials = filled(tmp_path / "before", 2, checkpoint_at=2).trials
    (tmp_path / "before").rename(tmp_path / "after")
    assert opened(tmp_path / "after").trials == trials


def test_checkpoints_are_a_minute_apart_unless_forced(tmp_path):
    now = [0.0]
    saved = []
    study = Study(tmp_path, OBJECTIVE, lambda path, payload: saved.append(now[0]), load_json, clock=lambda: now[0])
    for now[0] in (10.0, 59.0, 60.0, 100.0, 119.0, 121.0):
        study.checkpoint(Counter())
    study.checkpoint(Counter(), force=True)
    assert saved == [60.0, 121.0, 121.0]


def test_a_checkpoint_names_its_trial_count(tmp_path):
    filled(tmp_path, 4, checkpoint_at=4)
    sha256 = hashlib.sha256((tmp_path / TRIALS).read_bytes()).hexdigest()
    kept = {"trials": 4, "sha256": sha256, "seconds": 0.0, "strategy": {"told": 4}}
    assert load_json(tmp_path / CHECKPOINT) == kept


RECORD = [  # arch, latency, accuracy, weights version
    ((0,), 10.0, 0.70, 0),
    ((1,), 15.0, 0.80, 0),
    ((2,), 12.0, 0.65, 0),  # dominated by the first
    ((3,), 25.0, 0.99, 0),  # infeasible
    ((4,), 11.0, 0.80, 0),  # dominates the second
]


def recorded(folder, rows=RECORD) -> Study:
    study = opened(folder)
    for arch, latency_ms, accuracy, version in rows:
        study.add(arch, {MS: latency_ms, "accuracy": accuracy}, weights_version=version)
    return study


def test_best_is_feasible_and_of_equals_the_cheaper(tmp_path):
    study = recorded(tmp_path)
    assert [trial.arch for trial in study.best(3)] == [(4,), (1,), (0,)]
    assert len(study.best(100)) == 4


def test_front(tmp_path):
    assert [trial.arch for trial in recorded(tmp_path).front()] == [(4,), (0,)]
    assert opened(tmp_path / "empty").front() == []


def test_accuracies_of_other_weights_are_not_compared(tmp_path):
    lucky_early = ((0,), 10.0, 0.95, 0)
    study = recorded(tmp_path, [lucky_early, ((1,), 10.0, 0.60, 0), ((0,), 10.0, 0.70, 1), ((1,), 10.0, 0.80, 1)])
    assert [(t.arch, t.metrics["accuracy"]) for t in study.best(2)] == [((1,), 0.80), ((0,), 0.70)]
    assert [t.arch for t in study.best(1, weights_version=0)] == [(0,)]
    assert [t.weights_version for t in study.front()] == [1]


def test_a_failed_trial_is_never_best(tmp_path):
    study = opened(tmp_path)
    study.add((0,), {MS: 1.0, "accuracy": 0.9}, error="RuntimeError: killed")
    assert study.best(1) == [] and study.front() == []
