"""What generational strategies share: initial individuals, preselection by cost, survivors, restarts."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from edgenas.exploration.feasible import Archive, new_samples, repair, size_and_violation, uniform
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import is_allowed

if TYPE_CHECKING:
    from edgenas.system.checkpoint import State

# As many children are bred for each proposal, of which every `RANDOM_EVERY`-th is uniformly random instead.
CANDIDATES, RANDOM_EVERY = 32, 10
# To every `LARGE_EVERY` places, one is added for the largest child of as many.
LARGE_EVERY = 4
# Where no child is feasible, as many are repaired: a repair takes several steps, so not all are.
REPAIRED = 8
# As often children are bred, each time further from their parents, before new initial individuals are sought.
ATTEMPTS = 6


@dataclass(frozen=True)
class Plan:
    """Sizes of generations; `fill_share` is of the initial one, `patience` counts generations without progress."""

    parents: int
    patience: int
    children: int = 8
    initial: int = 16
    fill_share: float = 0.25


class Generational(Strategy):
    """Proposes generation by generation; the best of all generations are the parents of the next ('plus' selection).

    Costs are free, so children are bred in large numbers, a few feasible ones of new networks proposed, and a
    generation's costs are computed in one go. When as many generations in a row as the plan has patience for bring
    nothing better than their parents, new initial individuals start again; what was proposed stays known.
    """

    def __init__(self, problem: Problem, rng: Generator, plan: Plan) -> None:
        """Begin with initial individuals; `rng` is all its randomness."""
        self.problem = problem
        self.rng = rng
        self.plan = plan
        self.waiting: list[Arch] = []
        self.told: list[tuple[Arch, float]] = []
        self.survivors: list[tuple[Arch, float]] = []  # best first
        self.stale = 0
        self.weights_version = 0
        self.proposed = Archive(problem.space)

    @abstractmethod
    def _bred(self, n: int, attempt: int) -> list[Arch]:
        """Return `n` children of the survivors, feasible or not, known or not; further from them with every attempt."""

    def ask(self, n: int = 1) -> list[Arch]:
        """Return at most `n` of the current generation; [] when nothing new turns up."""
        if not self.waiting:
            self._select()
            self.waiting = (self._offspring() if self.survivors else []) or self._initial()
        proposals, self.waiting = self.waiting[:n], self.waiting[n:]
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """The trials compete with the survivors once their generation is complete.

        Survivors scored on older weights stay parents until something is scored on the newer ones.
        """
        for trial in trials:
            if trial.weights_version > self.weights_version:
                self.weights_version = trial.weights_version
                self.survivors = [(arch, -math.inf) for arch, _ in self.survivors]
                self.told = [(arch, -math.inf) for arch, _ in self.told]
            self.told.append((trial.arch, trial.reward))

    def narrow(self, space: SearchSpace) -> None:
        """Drop what waits and is no longer allowed."""
        super().narrow(space)
        self.waiting = [arch for arch in self.waiting if is_allowed(space, arch)]

    def _select(self) -> None:
        """Let the best of survivors and trials survive; nobody does after too many generations without progress."""
        if not self.told:
            return
        best = max((reward for _, reward in self.survivors), default=-math.inf)
        # Where rewards are equal the newer: steps that change nothing lead off a plateau.
        ranked = sorted([*self.told, *self.survivors], key=lambda member: member[1], reverse=True)
        self.survivors, self.told = ranked[: self.plan.parents], []
        self.stale = 0 if self.survivors[0][1] > best else self.stale + 1
        if self.stale >= self.plan.patience:
            self.survivors, self.stale = [], 0

    def _initial(self) -> list[Arch]:
        """Return new random feasible architectures, of which a share fills the budget; [] when nothing new turns up."""
        to_fill = round(self.plan.fill_share * self.plan.initial)
        return new_samples(self.problem, self.proposed, self.rng, self.plan.initial, to_fill=to_fill)

    def _offspring(self) -> list[Arch]:
        """Return new feasible children; [] when nothing new turns up."""
        for attempt in range(ATTEMPTS):
            archs = self._bred(CANDIDATES * self.plan.children, attempt)
            archs[::RANDOM_EVERY] = uniform(self.problem.space, self.rng, len(archs[::RANDOM_EVERY]))
            if new := self.proposed.add(self._preferred(archs), self.plan.children):
                return new
        return []

    def _preferred(self, archs: Sequence[Arch]) -> list[Arch]:
        """Return the feasible ones in order, with large ones in between; where none is feasible, a few repaired."""
        sizes, violations = size_and_violation(self.problem, archs)
        feasible = np.flatnonzero(violations == 0)
        if not len(feasible):
            repaired = (repair(self.problem, arch, self.rng) for arch in archs[:REPAIRED])
            return [arch for arch in repaired if arch is not None]
        # Large ones are sought among the last candidates, the other places go to the first: they hardly ever meet.
        groups = np.array_split(feasible[::-1], -(-len(feasible) // LARGE_EVERY))
        plain = np.array_split(feasible, len(groups))
        ordered = [[group[sizes[group].argmax()], *others] for group, others in zip(groups, plain, strict=True)]
        return [archs[i] for i in chain.from_iterable(ordered)]

    def state_dict(self) -> State:
        """Return generator, generation, survivors and what was proposed."""
        return {
            "rng": self.rng.bit_generator.state,
            "waiting": list(self.waiting),
            "told": list(self.told),
            "survivors": list(self.survivors),
            "stale": self.stale,
            "weights_version": self.weights_version,
            "proposed": self.proposed.state(),
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.rng.bit_generator.state = state["rng"]
        self.waiting = [tuple(arch) for arch in state["waiting"]]
        self.told = [(tuple(arch), reward) for arch, reward in state["told"]]
        self.survivors = [(tuple(arch), reward) for arch, reward in state["survivors"]]
        self.stale = state["stale"]
        self.weights_version = state["weights_version"]
        self.proposed.load(state["proposed"])


def decoded(space: SearchSpace, scores: np.ndarray) -> list[Arch]:
    """Decode many scores (n, choices, most options) at once; what a choice does not have is not read."""
    columns = []
    for i, allowed in enumerate(space.allowed):
        options = np.array(allowed)
        columns.append(options[scores[:, i, options].argmax(axis=1)])
    return list(map(tuple, np.stack(columns, axis=1).tolist()))


def initial_for(trials: int) -> int:
    """Return how many initial individuals suit `trials`: enough to see the space, few enough to breed for long."""
    return min(16, max(6, trials // 6))
