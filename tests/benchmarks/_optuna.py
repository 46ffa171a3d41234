"""Optuna's samplers as peers: asked for architectures of a problem, judged by the same look-ups."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

from edgenas.exploration.problem import Problem
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("optuna-tpe", "optuna-nsga2")
# Proposals that need no look-up are free, for our strategies as for these; but they end some time.
PROPOSALS_PER_TRIAL = 30
POPULATION = 20


def optuna_module() -> Any:
    """Optuna, silenced. Raises SystemExit, with what to install, where it is missing."""
    try:
        import optuna
    except ImportError as error:
        raise SystemExit("the peers need Optuna: pip install 'edgenas[peers]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def optuna_searched(name: str, problem: Problem, seed: int, trials: int) -> list[Trial]:
    """The trials of one search: the first `trials` architectures that were looked up.

    As with our strategies, latency is free: an infeasible proposal costs no look-up, the sampler is told how far it is
    above the budget (as Optuna's constraint) and a value of 0. Nor does a proposal that was looked up before.
    """
    optuna = optuna_module()

    if name == "optuna-tpe":
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    else:
        sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=POPULATION)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    known: dict[Arch, Trial] = {}
    for _ in range(PROPOSALS_PER_TRIAL * trials):
        if len(known) == trials:
            break
        asked = study.ask()
        arch = suggested(problem, asked)
        violation = float(problem.violation([arch])[0])
        asked.set_constraint("violation", violation)
        if violation == 0 and arch not in known:
            metrics = problem.evaluate(arch)
            known[arch] = Trial(len(known), arch, metrics, problem.objective.reward(metrics), True)
        study.tell(asked, known[arch].metrics["accuracy"] if violation == 0 else 0.0)
    return list(known.values())


def suggested(problem: Problem, trial: optuna.trial.Trial) -> Arch:
    """An architecture, one categorical parameter per choice."""
    pairs = zip(problem.space.choices, problem.space.allowed, itertools.repeat(trial))
    return tuple(int(t.suggest_categorical(choice.name, list(allowed))) for choice, allowed, t in pairs)
