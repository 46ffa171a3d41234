from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.errors import EdgeNASError
from edgenas.exploration.driver import FAILURES_IN_A_ROW, run_search
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study, read_trials
from edgenas.strategies.evolution import Evolution
from edgenas.strategies.random import Random
from tests.strategies._synthetic import Toy, load_json, save_json, synthetic

SPACE = Toy()


class Script(Strategy):
    """Proposes a fixed list, and keeps what it is told."""

    def __init__(self, archs):
        self.left, self.asked, self.told = list(archs), [], []

    def ask(self, n=1):
        self.asked.append(n)
        archs, self.left = self.left[:n], self.left[n:]
        return archs

    def tell(self, trials):
        self.told.append([trial.arch for trial in trials])

    def state_dict(self):
        return {"left": self.left}

    def load_state_dict(self, state):
        self.left = [tuple(arch) for arch in state["left"]]


@pytest.fixture
def problem() -> Problem:
    return synthetic(SPACE, 1.0)


@pytest.fixture
def archs(problem, rng):
    return Random(problem, rng).ask(12)


def open_study(folder, problem, **options) -> Study:
    return Study(folder, problem.objective, save_json, load_json, **options)


def test_all_that_is_asked_is_told_in_order_and_the_last_batch_is_smaller(tmp_path, problem, archs):
    study, strategy = open_study(tmp_path, problem), Script(archs)
    assert run_search(problem, strategy, study, max_trials=10, batch=4) == "trials"
    assert strategy.asked == [4, 4, 2]
    assert strategy.told == [archs[:4], archs[4:8], archs[8:10]]
    assert [trial.arch for trial in study.trials] == archs[:10]


def test_an_empty_ask_ends_the_search(tmp_path, problem, archs):
    study = open_study(tmp_path, problem)
    assert run_search(problem, Script(archs), study, max_trials=100, batch=5) == "exhausted"
    assert len(study.trials) == 12


def test_minutes_bound_the_search_and_earlier_trials_count(tmp_path, problem, archs):
    now = [0.0]

    def slow(function, batch):
        now[0] += 30.0
        return map(function, batch)

    study = open_study(tmp_path, problem)
    ending = run_search(problem, Script(archs), study, max_trials=100, minutes=2, map_=slow, clock=lambda: now[0])
    assert ending == "minutes" and len(study.trials) == 4
    assert run_search(problem, Script(archs), study, max_trials=100, minutes=1.5, clock=lambda: now[0]) == "minutes"
    assert len(study.trials) == 4
    resumed, now[0] = open_study(tmp_path, problem), 1e6  # another machine's clock
    options = {"max_trials": 100, "minutes": 3, "map_": slow, "clock": lambda: now[0]}
    assert run_search(problem, Script(archs), resumed, **options) == "minutes" and len(resumed.trials) == 6


def test_stop_is_asked_between_batches_and_leaves_a_checkpoint(tmp_path, problem, archs):
    study = open_study(tmp_path, problem)
    ending = run_search(problem, Script(archs), study, max_trials=100, batch=3, stop=lambda: len(study.trials) >= 6)
    assert ending == "stopped" and len(study.trials) == 6
    assert open_study(tmp_path, problem).trials == study.trials


def test_progress_after_every_batch(tmp_path, problem, archs):
    seen = []
    study = open_study(tmp_path, problem)
    run_search(problem, Script(archs), study, max_trials=6, batch=2, progress=lambda s: seen.append(len(s.trials)))
    assert seen == [2, 4, 6]


def failing(problem: Problem, fails) -> Problem:
    """Every call whose number `fails` picks raises."""
    calls = iter(range(1000))

    def evaluator(arch):
        if fails(next(calls)):
            raise RuntimeError("out of memory")
        return problem.evaluator(arch)

    return Problem(problem.space, problem.costs, problem.objective, evaluator)


def test_a_failed_trial_is_recorded_with_its_cause(tmp_path, problem, archs):
    study = open_study(tmp_path, problem)
    run_search(failing(problem, lambda call: call == 1), Script(archs), study, max_trials=3)
    assert [trial.error for trial in study.trials] == [None, "RuntimeError: out of memory", None]


def test_failures_in_a_row_stop_the_run_with_the_cause(tmp_path, problem, archs):
    study = open_study(tmp_path, problem)
    with pytest.raises(EdgeNASError, match="out of memory"):
        run_search(failing(problem, lambda call: call >= 2), Script(archs), study, max_trials=100)
    assert len(study.trials) == 2 + FAILURES_IN_A_ROW


def test_failures_between_successes_do_not(tmp_path, problem, archs):
    study = open_study(tmp_path, problem)
    often = failing(problem, lambda call: call % FAILURES_IN_A_ROW != 0)
    assert run_search(often, Script(archs), study, max_trials=12) == "trials"


@pytest.mark.parametrize("killed_after", [1, 4, 7, 11])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, problem, archs, killed_after):
    """The process dies at some trial; checkpoints happen every third batch."""

    def run(folder, problem):
        ticks = iter(range(1000))
        study = open_study(folder, problem, every_s=3, clock=lambda: next(ticks))
        strategy = Script(archs)
        study.restore(strategy)
        run_search(problem, strategy, study, max_trials=12)
        return [(trial.number, trial.arch, trial.metrics, trial.reward) for trial in study.trials]

    calls = iter(range(1000))

    def dying(arch):
        if next(calls) == killed_after:
            raise KeyboardInterrupt
        return problem.evaluator(arch)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", Problem(problem.space, problem.costs, problem.objective, dying))
    assert run(tmp_path / "killed", problem) == run(tmp_path / "whole", problem)


def evolved(folder, pause_s=0.0, progress=lambda study: None):
    """A search that keeps a checkpoint after each batch; what it found."""

    def slow(arch):
        time.sleep(pause_s)
        return toys.evaluator(arch)

    toys = synthetic(SPACE, 0.5)
    study, strategy = Study(folder, toys.objective, every_s=0.0), Evolution(toys, np.random.default_rng(0))
    study.restore(strategy)
    run_search(replace(toys, evaluator=slow), strategy, study, max_trials=120, batch=3, progress=progress)
    return [(trial.number, trial.arch, trial.metrics, trial.reward) for trial in study.trials]


KILLED = """
import pathlib, sys
from tests.exploration.test_driver import evolved
evolved(pathlib.Path(sys.argv[1]), 0.01, lambda study: print(len(study.trials), flush=True))
"""


def test_killed_by_the_kernel_at_any_moment_and_resumed_equals_uninterrupted(tmp_path, rng):
    """SIGKILL, twice, each time somewhere in a batch or in the checkpoint behind it."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed")]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
            for _ in range(rng.integers(2, 6)):
                child.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.03))
            child.kill()
        assert child.returncode == -signal.SIGKILL
    assert 0 < len(read_trials(tmp_path / "killed")) < 120
    assert evolved(tmp_path / "killed") == evolved(tmp_path / "whole")
