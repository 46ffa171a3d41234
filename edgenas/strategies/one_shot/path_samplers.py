"""Which architectures each step of a single-path training trains: uniform or fair ones, or a policy's own.

All but the fair ones are architectures that the objective scores: what lies beyond is never used, and would take most
of the time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator

from edgenas.errors import BudgetError
from edgenas.exploration.feasible import random_feasible, repaired_samples, uniform
from edgenas.exploration.problem import Problem
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.strategies.controllers.lstm import Controller

BLOCK = 64  # architectures that are drawn and priced at once: one look-up of many costs little more than of one
DRAWS = 16  # fair groups that are drawn, of which one is taken


class PathSampler(Protocol):
    """Yields what each step trains, as a function of its arguments and of what the strategy has learned by now."""

    def __call__(self, problem: Problem, rng: Generator, step: int) -> Iterator[Sequence[Arch]]:
        """Yield the architectures of each step from `step` on, without end.

        Raises:
            BudgetError: none is found that the objective scores.
        """
        ...


def scored(problem: Problem, archs: Sequence[Arch]) -> list[Arch]:
    """Return those that the objective scores, in order."""
    previews = problem.preview(archs, list(problem.objective.budgets))
    return [arch for arch, metrics in zip(archs, previews, strict=True) if problem.objective.scored(metrics)]


def uniform_paths(problem: Problem, rng: Generator, step: int) -> Iterator[list[Arch]]:
    """Yield one random architecture a step (SPOS, arXiv:1904.00420), repaired ones under tight budgets."""
    while True:
        found = scored(problem, uniform(problem.space, rng, BLOCK)) or list(repaired_samples(problem, rng))
        if not found:
            anything = random_feasible(problem, rng)
            if anything is None:
                raise BudgetError("no architecture to train was found within the budget; raise it")
            found = [anything]
        yield from ([arch] for arch in found)


def fair_paths(problem: Problem, rng: Generator, step: int) -> Iterator[list[Arch]]:
    """Yield groups in which every option is trained once (strict fairness of FairNAS, arXiv:1907.01845).

    Of several groups it is the one of least violation: to leave out what is beyond the budget would not be fair.
    """
    while True:
        groups = [fair_group(problem.space, rng) for _ in range(DRAWS)]
        violation = problem.violation([arch for group in groups for arch in group]).reshape(DRAWS, -1)
        yield groups[int(violation.sum(axis=1).argmin())]


def fair_group(space: SearchSpace, rng: Generator) -> list[Arch]:
    """Return an architecture for each option of the widest choice; narrower choices repeat their options evenly."""
    width = group_size(space)
    # The inner permutation decides which options are repeated once more, the outer one who meets whom.
    columns = [rng.permutation(np.resize(rng.permutation(options), width)) for options in space.allowed]
    return list(map(tuple, np.stack(columns, axis=1).tolist()))


def group_size(space: SearchSpace) -> int:
    """Return how many options the widest choice has."""
    return max(map(len, space.allowed))


@dataclass(frozen=True)
class PolicyPaths:
    """One sample of the policy a step; before step `warm_up`, random ones with a probability that falls from 1 to 0.

    TuNAS (Bender et al., 2020, arXiv:2008.06120) so warms up operations and filters. Deviation: there
    such a step trains all operations at once, or all filters; here a random path.
    """

    controller: Controller
    warm_up: int

    def __call__(self, problem: Problem, rng: Generator, step: int) -> Iterator[Sequence[Arch]]:
        """Yield the architectures of each step, see `PathSampler`."""
        anything = uniform_paths(problem, rng, step)
        own = self._own(problem, rng, anything)
        for now in itertools.count(step):
            is_random = now < self.warm_up and rng.random() < 1 - now / self.warm_up
            yield next(anything if is_random else own)

    def _own(self, problem: Problem, rng: Generator, anything: Iterator[list[Arch]]) -> Iterator[list[Arch]]:
        """Yield samples of the policy that are scored; where it has none, random ones."""
        while True:
            found = scored(problem, self.controller.sample(BLOCK, rng))
            yield from ([arch] for arch in found)
            if not found:
                yield next(anything)
