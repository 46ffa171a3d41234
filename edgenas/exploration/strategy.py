"""Strategy: the contract of everything that proposes architectures, and what its wiring gets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from numpy.random import Generator

from edgenas.exploration.problem import Problem
from edgenas.exploration.study import Study, Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace


class Strategy(ABC):
    """Proposes architectures of `problem` and learns from their trials.

    The driver calls, in turn: ask; tell with one trial per proposed architecture, in the order proposed; state_dict, at
    moments of its choice. Nothing else is promised and nothing else may be relied on. All randomness comes from
    generators given at construction: the same problem, generators and trials give the same proposals.
    """

    problem: Problem
    notes: Sequence[str] = ()  # after `recommend`: what a person should know of what it recommends, a line each

    @abstractmethod
    def ask(self, n: int = 1) -> list[Arch]:
        """Advance until there is something worth evaluating: one to `n` architectures of `problem.space`.

        Fewer than `n` is normal; [] ends the search: nothing is left to propose, or nothing can meet the budget. Work
        that needs no evaluation, such as learning from costs alone, happens here; it must be bounded.
        """

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from what the last `ask` proposed: all of it, in order.

        A trial may have failed (`error` is set, the quality missing) or be infeasible: `reward` is finite all the same
        and ranks it below every scored one. A `weights_version` newer than before makes older rewards incomparable.
        """

    def recommend(self, study: Study, k: int) -> list[Arch]:
        """The at most `k` architectures to make finalists of, best first, feasible and without repeats.

        Default: the best trials. A strategy whose result is more than its trials, such as a learned policy, adds
        architectures that were never evaluated.
        """
        return [trial.arch for trial in study.best(k)]

    def narrow(self, space: SearchSpace) -> None:
        """Propose from this part of the space only, from now on; what was learned outside of it may still serve.

        Called between `tell` and `ask`, and before `load_state_dict` for a state from after the narrowing. Enough where
        all that depends on what is allowed is read from `problem.space` when it is needed.
        """
        self.problem = replace(self.problem, space=space)

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that the next `ask` depends on: generators, populations, optimisers. Called between `tell` and `ask`.

        Built of dicts, lists, tuples, numbers, strings, None and torch tensors, which a safe loader reads back. Later
        calls of the strategy must not change it.
        """

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the strategy that `state_dict` described: it proposes the same from here on, bit for bit.

        Called on a strategy just built from the same problem and settings, before its first `ask`.
        """


class Settings(Protocol):
    """The part of a run's configuration that strategies read."""

    @property
    def trials(self) -> int:
        """How many trials the search is planned for; it may end earlier."""
        ...

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        ...

    @property
    def evaluator(self) -> str | None:
        """Name of the evaluator."""
        ...

    @property
    def search_epochs(self) -> int | None:
        """Epochs of a strategy that trains weights; None for its own choice."""
        ...

    @property
    def ghost_batch(self) -> int | None:
        """Images that batch norm sees at once."""
        ...

    def seeing(self, images: int, at_least: int, train_images: int) -> int:
        """Epochs that show about so many images."""
        ...


class Run(Protocol):
    """What the wiring `build(run)` at the end of each strategy file gets."""

    @property
    def problem(self) -> Problem:
        """What to search."""
        ...

    @property
    def config(self) -> Settings:
        """The run's configuration."""
        ...

    def rng(self, name: str) -> Generator:
        """An independent stream of random numbers for each name, derived from the run's seed."""
        ...
