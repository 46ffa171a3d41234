"""The toy space of the contract tests, and searches on it that are compared with random ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from edgenas.exploration.driver import run_search
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.strategies.random import Random
from edgenas.system import plugins
from edgenas.testing.toy import COSTS, GATE, Accuracy, PerNode, ToySettings, build_strategy, macs, noise
from edgenas.testing.toy import ToySpace as Toy
from edgenas.testing.toy import toy_problem as synthetic

__all__ = ["COSTS", "GATE", "Accuracy", "PerNode", "Toy", "macs", "noise", "synthetic"]


def built(name: str, problem: Problem, seed: int = 0, *, trials: int = 24, **options: str) -> Strategy:
    """A strategy by name, with the first value of each option that is not given."""
    settings = ToySettings(trials)
    return build_strategy(plugins.load("strategies", name), problem, seed, settings=settings, options=options)


def save_json(path: Path, payload: dict[str, Any]) -> None:
    path.write_text(json.dumps(payload))


def load_json(path: Path) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(path.read_text())
    return payload


def forget(path: Path, payload: dict[str, Any]) -> None:
    """A `save` for searches that are never resumed."""


def best_found(folder: Path, problem: Problem, strategy: Strategy, trials: int) -> float:
    """The best feasible accuracy after a search of so many trials."""
    study = Study(folder, problem.objective, forget, load_json)
    run_search(problem, strategy, study, max_trials=trials)
    return max((trial.metrics["accuracy"] for trial in study.trials if trial.feasible), default=0.0)


def leads_over_random(
    folder: Path,
    build: Callable[[Problem, Generator], Strategy],
    space: SearchSpace,
    budget_share: float,
    *,
    seeds: int,
    trials: int,
    form: str = "hard",
) -> np.ndarray:
    """How much better than random search's the best accuracy found is, after equal trials: one number per seed."""
    leads = []
    for seed in range(seeds):
        problem = synthetic(space, budget_share, form=form, seed=seed)
        control = synthetic(space, budget_share, seed=seed)
        rngs = np.random.default_rng(seed).spawn(2)
        leads.append(
            best_found(folder / f"{seed} searched", problem, build(problem, rngs[0]), trials)
            - best_found(folder / f"{seed} random", control, Random(control, rngs[1]), trials)
        )
    return np.array(leads)


def rewarded(archs: Sequence[Arch], rewards: Sequence[float], weights_version: int = 0) -> list[Trial]:
    """Trials with these rewards and nothing else."""
    return [
        Trial(i, arch, {}, reward, True, weights_version)
        for i, (arch, reward) in enumerate(zip(archs, rewards, strict=True))
    ]
