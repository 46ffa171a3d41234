"""What every strategy promises, checked on a toy space."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgenas.errors import UsageError
from edgenas.exploration.driver import run_search
from edgenas.exploration.feasible import network_keys
from edgenas.exploration.objective import FORMS, Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.sampling import is_allowed
from edgenas.system.contracts import check_contract
from edgenas.testing.toy import (
    COSTS,
    GATE,
    Accuracy,
    Islands,
    ToySettings,
    ToySpace,
    build_strategy,
    require,
    toy_problem,
)

SPACE = ToySpace(4)
TRIALS = 18  # enough for initial individuals and generations after them
EPOCHS = 9  # of noise, for strategies that train weights: a step of alphas for each of their rounds


@dataclass(frozen=True)
class Candidate:
    """A strategy class that is to be checked, under some of its options."""

    cls: type[Strategy]
    options: Mapping[str, str] = field(default_factory=dict)

    def build(self, problem: Problem, seed: int = 0) -> Strategy:
        """Return it for a problem."""
        settings = ToySettings(TRIALS, search_epochs=EPOCHS)
        return build_strategy(self.cls, problem, seed, settings=settings, options=self.options)

    def search(self, problem: Problem, *, seed: int = 0, trials: int = TRIALS, batch: int = 3) -> Study:
        """Return the study of a whole search."""
        with study_of(problem) as study:
            run_search(problem, self.build(problem, seed), study, max_trials=trials, batch=batch)
            return study

    def require(self, condition: object, sentence: str) -> None:
        """Raise AssertionError, naming the strategy, unless the condition holds."""
        require(condition, f"{self.cls.__name__}: {sentence}")


def strategy_contract(strategy: type[Strategy], options: Mapping[str, str] | None = None) -> None:
    """Check that a strategy class keeps all that a search relies on, in some seconds.

    Args:
        strategy: a class with `reward_form`, `options`, `trains_weights`, `build`, `ask`, `tell`, `state_dict` and
            `load_state_dict`, as `edgenas.Strategy` describes them.
        options: values for some of its options; the others have their first value.

    Raises:
        AssertionError: it does not; the sentence says what it did.
        UsageError: something of the contract is missing; it is named.

    >>> import edgenas
    >>> edgenas.testing.strategy_contract(edgenas.strategies.Random)
    """
    candidate = Candidate(strategy, options or {})
    for check in CHECKS:
        check(candidate)


@contextmanager
def study_of(problem: Problem, **settings: Any) -> Iterator[Study]:
    """A study in a folder that vanishes."""
    with tempfile.TemporaryDirectory() as folder:
        yield Study(Path(folder), problem.objective, **settings)


def history(study: Study) -> list[tuple[Arch, Mapping[str, float], float]]:
    """Return what was found, in order, without what the clock says."""
    return [(trial.arch, trial.metrics, trial.reward) for trial in study.trials]


def declares_what_it_is(c: Candidate) -> None:
    """Class attributes say the reward form, the options, and whether weights are trained."""
    check_contract("strategies", c.cls, c.cls.__name__)
    c.require(c.cls.reward_form in FORMS, f"reward_form is {c.cls.reward_form!r}, not one of {', '.join(FORMS)}")
    for name, values in c.cls.options.items():
        c.require(values and all(isinstance(value, str) for value in values), f"option {name!r} has no text values")
        for value in values:
            build_strategy(c.cls, toy_problem(SPACE, 0.5), options={name: value})


def proposes_valid_scored_and_new(c: Candidate) -> None:
    """Every proposal is an architecture of the space that the objective scores, and no network comes twice."""
    for share in (0.05, 0.5):  # a tight budget, which few architectures meet, and a loose one
        problem = toy_problem(SPACE, share, form=c.cls.reward_form)
        study = c.search(problem)
        for trial in study.trials:
            SPACE.check(trial.arch)
            c.require(problem.objective.scored(trial.metrics), f"{trial.arch} is proposed, and nothing scores it")
            c.require(math.isfinite(trial.reward), f"the reward of {trial.arch} is {trial.reward}")
        distinct = len(set(network_keys(SPACE, [trial.arch for trial in study.trials])))
        if not c.cls.trains_weights:  # such a one may propose a network again, on newer weights
            c.require(distinct == TRIALS, f"{len(study.trials)} of {TRIALS} trials, of {distinct} networks")
        c.require(study.trials, "nothing is proposed")


def asks_for_one_to_n(c: Candidate) -> None:
    """`ask(n)` gives one to `n` architectures while there are new ones."""
    for n in (1, 2, 7):
        problem = toy_problem(SPACE, 0.3)
        strategy = c.build(problem)
        for _ in range(4):
            archs = strategy.ask(n)
            c.require(1 <= len(archs) <= n, f"ask({n}) gave {len(archs)} architectures")
            strategy.tell([Trial(0, arch, problem.evaluate(arch), 0.5, True) for arch in archs])


def follows_the_seed(c: Candidate) -> None:
    """Equal seeds give equal searches, other seeds others."""
    problem = toy_problem(SPACE, 0.3)
    first, again, other = (history(c.search(problem, seed=seed)) for seed in (1, 1, 2))
    c.require(first == again, "two searches with one seed differ")
    c.require(first != other, "searches with two seeds are the same")


def resumes_as_if_never_stopped(c: Candidate) -> None:
    """Killed and restored from its checkpoint, a search goes on as an uninterrupted one."""
    problem = toy_problem(SPACE, 0.3)

    def run(folder: Path, problem: Problem) -> tuple[Any, list[Arch]]:
        study, strategy = Study(folder, problem.objective, every_s=0.0), c.build(problem)  # a checkpoint each batch
        study.restore(strategy)
        run_search(problem, strategy, study, max_trials=TRIALS, batch=2)
        return history(study), strategy.recommend(study, 3)

    with tempfile.TemporaryDirectory() as folder:
        whole = run(Path(folder, "whole"), problem)
        for killed_after in (0, 11):  # before the first checkpoint, and inside a batch of two
            count = itertools.count()

            def dying(arch: Arch, last: int = killed_after, count: Iterator[int] = count) -> Any:
                if next(count) == last:
                    raise KeyboardInterrupt
                return problem.evaluator(arch)

            part = Path(folder, f"killed after {killed_after}")
            with suppress(KeyboardInterrupt):
                run(part, replace(problem, evaluator=dying))
            c.require(run(part, problem) == whole, f"killed in trial {killed_after} and resumed, it searches otherwise")


def keeps_states_as_they_were(c: Candidate) -> None:
    """A state does not change with what happens after it was taken, and a strategy of another seed can load it."""
    problem = toy_problem(SPACE, 0.3)

    def advance(strategy: Strategy, steps: int) -> list[list[Arch]]:
        asked: list[list[Arch]] = []
        for _ in range(steps):
            asked.append(strategy.ask(2))
            rows = [(arch, problem.evaluate(arch)) for arch in asked[-1]]
            strategy.tell([Trial(0, arch, metrics, metrics["accuracy"], True) for arch, metrics in rows])
        return asked

    strategy = c.build(problem)
    advance(strategy, 6)
    state = strategy.state_dict()
    expected = advance(strategy, 6)
    restored = c.build(problem, seed=9)  # another seed: what the state lacks of the generators shows
    restored.load_state_dict(state)
    c.require(advance(restored, 6) == expected, "restored from state_dict, it proposes others than the first did")


def survives_failed_trials(c: Candidate) -> None:
    """Trials that raise or score no number are learned from as the worst, under every reward form."""
    for form in FORMS:
        problem = toy_problem(SPACE, 0.3, form=form)
        count = itertools.count()

        def unlucky(arch: Arch, problem: Problem = problem, count: Iterator[int] = count) -> Any:
            match next(count) % 3:
                case 0:
                    raise RuntimeError("out of memory")
                case 1:
                    return {"accuracy": math.nan}
            return problem.evaluator(arch)

        study = c.search(replace(problem, evaluator=unlucky))
        scored = sum(trial.error is None for trial in study.trials)
        c.require(len(study.trials) == TRIALS, f"with failing trials, the search ends after {len(study.trials)}")
        c.require(scored == TRIALS // 3, f"{scored} trials were scored, where every third can be")


def survives_equal_rewards(c: Candidate) -> None:
    """Nothing to learn is no reason to end, whether a budget binds or there is none."""
    level = replace(toy_problem(SPACE, 0.3), evaluator=lambda arch: {"accuracy": 0.5})
    for objective in (level.objective, Objective({GATE: 1e6}), Objective({})):  # binding, not binding, none
        study = c.search(replace(level, objective=objective))
        c.require(len(study.trials) == TRIALS, f"it ends after {len(study.trials)} trials of equal reward")


def ends_where_no_budget_can_be_met(c: Candidate) -> None:
    """A budget out of reach ends the search without a trial, under every reward form."""
    for form in FORMS:
        study = c.search(Problem(SPACE, COSTS, Objective({GATE: 1e-6}, form=form), Accuracy(SPACE, 0)))
        c.require(study.trials == [], "it proposes architectures that nothing scores")


def copes_with_a_feasible_set_in_pieces(c: Candidate) -> None:
    """Single changes lead from one island to none other. A strategy may refuse the cost, naming it."""
    problem = Problem(SPACE, (Islands(), COSTS[1]), Objective({GATE: 1.5}), Accuracy(SPACE, 0))  # one in seven fits
    try:
        study = c.search(problem)
    except UsageError as refusal:
        c.require(GATE in str(refusal), f"it refuses a cost without naming it: {refusal}")
        return
    archs = [trial.arch for trial in study.trials]
    c.require(archs and problem.feasible(archs).all(), "it does not stay within the budget")
    if not c.cls.trains_weights:
        c.require(len(set(network_keys(SPACE, archs))) == TRIALS, "it repeats itself where few are feasible")


def recommends_feasible_ones(c: Candidate) -> None:
    """At most `k` feasible networks are recommended, none twice, and the same when asked again."""
    for form in FORMS:
        problem = toy_problem(SPACE, 0.2, form=form)
        with study_of(problem) as study:
            strategy = c.build(problem)
            c.require(problem.feasible(strategy.recommend(study, 3)).all(), "it recommends what is beyond the budget")
            run_search(problem, strategy, study, max_trials=TRIALS)
            archs = strategy.recommend(study, 5)
            c.require(1 <= len(archs) <= 5, f"recommend(study, 5) gave {len(archs)} architectures")
            c.require(problem.feasible(archs).all(), "it recommends what is beyond the budget")
            c.require(len(set(network_keys(SPACE, archs))) == len(archs), "it recommends one network twice")
            c.require(archs == strategy.recommend(study, 5), "asked again, it recommends others")


def obeys_a_restricted_space(c: Candidate) -> None:
    """Options that are not allowed are never proposed, from the beginning or from the middle of a search on."""
    space = SPACE.restrict({"k0": [1], "e1": [0, 1], "depth": [0, 2]})
    found = [trial.arch for trial in c.search(toy_problem(space, 0.5)).trials]
    c.require(all(is_allowed(space, arch) for arch in found), "it proposes options that are not allowed")
    problem, narrow = toy_problem(SPACE, 0.5), SPACE.restrict({"k0": [1], "k1": [0, 2], "e1": [1]})
    with study_of(problem) as study:
        strategy = c.build(problem)
        run_search(problem, strategy, study, max_trials=6, batch=3)
        strategy.narrow(narrow)
        run_search(problem, strategy, study, max_trials=18, batch=3)
        c.require(len(study.trials) == 18, f"narrowed, it ends after {len(study.trials)} trials")
        found = [trial.arch for trial in study.trials[6:]]
        c.require(all(is_allowed(narrow, arch) for arch in found), "narrowed, it proposes what is no longer allowed")


def ends_when_all_is_known(c: Candidate) -> None:
    """A search ends when it has proposed all there is, of one architecture and of six."""
    only = SPACE.restrict({choice.name: [0] for choice in SPACE.choices})
    problem = Problem(only, COSTS, Objective({GATE: 1e6}), Accuracy(only, 0))
    with study_of(problem) as study:
        strategy = c.build(problem)
        ending = run_search(problem, strategy, study, max_trials=10)
        archs = [trial.arch for trial in study.trials]
        c.require(ending == "exhausted" and len(archs) == 1, f"of one architecture it makes {len(archs)} trials")
        c.require(strategy.recommend(study, 3) == archs, "it does not recommend the only architecture")
    few = SPACE.restrict({choice.name: [0] for choice in SPACE.choices if choice.name not in ("k0", "e0")})
    study = c.search(Problem(few, COSTS, Objective({GATE: 1e6}), Accuracy(few, 0)), trials=20)
    distinct = len(set(network_keys(few, [trial.arch for trial in study.trials])))
    c.require(c.cls.trains_weights or len(study.trials) == distinct == 6, f"of six networks it finds {distinct}")


CHECKS: tuple[Callable[[Candidate], None], ...] = (
    declares_what_it_is,
    asks_for_one_to_n,
    proposes_valid_scored_and_new,
    follows_the_seed,
    resumes_as_if_never_stopped,
    keeps_states_as_they_were,
    survives_failed_trials,
    survives_equal_rewards,
    ends_where_no_budget_can_be_met,
    copes_with_a_feasible_set_in_pieces,
    recommends_feasible_ones,
    obeys_a_restricted_space,
    ends_when_all_is_known,
)
