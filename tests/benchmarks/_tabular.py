"""Searches by look-up: problems of NAS-Bench-201 under a latency budget, and the driver on them."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from edgenas.cost.counts import CountCost
from edgenas.cost.lookup import LookupCost
from edgenas.evaluators.tabular import ScoreTable, read_scores
from edgenas.exploration import driver
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.strategies.predictor import PredictorGuided
from edgenas.system import plugins

FILE = "nb201.npz"


def add_data(parser: argparse.ArgumentParser) -> None:
    """The option that names the file."""
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGENAS_DATA"), help=f"{FILE}, or its folder")


def data_file(parser: argparse.ArgumentParser, data: str | Path | None) -> Path:
    """The file that was named; ends the program if none was."""
    if data is None:
        parser.error("name the data: --data DIR_OR_FILE, or EDGENAS_DATA")
    path = Path(data)
    return path / FILE if path.is_dir() else path


@dataclass(frozen=True)
class Table:
    """All architectures of the space with what is recorded of them."""

    space: SearchSpace
    scores: ScoreTable
    macs: LookupCost

    def problem(self, accuracy: str, device: str, budget_ms: float | None, form: str = "hard") -> Problem:
        """The most of an accuracy, with latency free to look at; under a budget, if there is one."""
        latency = self.scores.latency(device)
        budgets = {} if budget_ms is None else {latency.metric: budget_ms}
        evaluator = self.scores.evaluator(accuracy, self.space)
        return Problem(self.space, (latency, self.macs), Objective(budgets, form=form), evaluator)


@cache
def load(path: Path) -> Table:
    """The space for CIFAR's images, and the file."""
    space = build_space("nasbench201", (3, 32, 32), 10)
    scores = read_scores(path)
    return Table(space, scores, LookupCost("macs", scores.archs, CountCost("macs").many(space, scores.archs)))


@dataclass(frozen=True)
class Settings:
    """What strategies read of a configuration."""

    trials: int


@dataclass(frozen=True)
class Wiring:
    """What `build` of a strategy gets, priced and context in one."""

    problem: Problem
    config: Settings
    seed: int

    def rng(self, name: str) -> Generator:
        return np.random.default_rng([self.seed, *name.encode()])


def by_scores() -> list[str]:
    """The strategies that search by scores alone; the others train weights while they search."""
    names = plugins.names("strategies")
    return [name for name in names if not plugins.load("strategies", name).trains_weights]


def form_of(strategy: str) -> str:
    """The strategy's own reward form."""
    return str(plugins.load("strategies", strategy).reward_form)


def make(name: str, wiring: Wiring) -> Strategy:
    """The strategy as a search wires it; `predictor` with its linear ensemble alone, which learns fast."""
    if name == "predictor":
        return PredictorGuided(wiring.problem, wiring.rng(name))
    strategy: Strategy = plugins.load("strategies", name).build(wiring, wiring, {})
    return strategy


def searched(name: str, problem: Problem, seed: int, trials: int, batch: int = 1) -> list[Trial]:
    """The trials of one search, in order."""
    strategy = make(name, Wiring(problem, Settings(trials), seed))
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), problem.objective, _forget, _missing)
        driver.run_search(problem, strategy, study, max_trials=trials, batch=batch)
    return study.trials


def best_archs(trials: Sequence[Trial], prefixes: Sequence[int]) -> list[Arch | None]:
    """The best feasible architecture among the first so many trials, for each prefix."""
    found = []
    for count in prefixes:
        feasible = [trial for trial in trials[:count] if trial.feasible]
        found.append(max(feasible, key=lambda trial: trial.metrics["accuracy"]).arch if feasible else None)
    return found


def _forget(path: Path, payload: Mapping[str, Any]) -> None:
    """A checkpoint that nobody will read."""


def _missing(path: Path) -> dict[str, Any]:
    raise FileNotFoundError(path)
