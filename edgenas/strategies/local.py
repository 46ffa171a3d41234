"""Hill climbing on neighbours, with restarts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.random import Generator

from edgenas.exploration.feasible import Archive, initial_individual, repair
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.sampling import neighbours, within

if TYPE_CHECKING:
    from edgenas.system.checkpoint import State


class Local(Strategy):
    """Local search: climb from neighbour to better neighbour, start again where none is better (arXiv:2005.02960).

    White et al., 2020, Alg. 1, with differences. The first better neighbour is the next centre, or the best of a batch;
    to look at all of them and take the best is measurably worse. A neighbour above the budget is repaired, which leads
    further than one step: a feasible set in pieces is no trap. Under a budget a share of the starts is enlarged until
    it fills it. No network is evaluated twice, so a climb also ends where all that is near is known.
    """

    reward_form = "hard"

    def __init__(self, problem: Problem, rng: Generator, *, fill_share: float = 0.5) -> None:
        """Start from random feasible architectures, of which a share fills the budget."""
        self.problem = problem
        self.rng = rng
        # Without budgets, filling would end at the largest network every time.
        self.fill_share = fill_share if problem.objective.budgets else 0.0
        self.proposed = Archive(problem.space)
        self.centre: tuple[Arch, float] | None = None
        self.ahead: list[Arch] = []  # the centre's neighbours that were not looked at, in random order
        self.weights_version = 0

    def ask(self, n: int = 1) -> list[Arch]:
        """Return at most `n` new feasible neighbours of the centre, else new starts; [] when nothing new turns up."""
        if archs := self._nearby(n):
            return archs
        # A restart: the best of its starts becomes the centre, even if it is worse than the last one.
        self.centre = None
        for _ in range(n):
            archs += initial_individual(self.problem, self.proposed, self.rng, self.fill_share)
        return archs

    def tell(self, trials: Sequence[Trial]) -> None:
        """Make the best of the trials the next centre if it is better, or if there is none on the same weights."""
        best = max(trials, key=lambda trial: (trial.weights_version, trial.reward))
        newer = best.weights_version > self.weights_version
        if newer or self.centre is None or best.reward > self.centre[1]:
            self.weights_version = best.weights_version
            self.centre = best.arch, best.reward
            nearby = neighbours(self.problem.space, best.arch)
            self.ahead = [nearby[i] for i in self.rng.permutation(len(nearby))]

    def _nearby(self, n: int) -> list[Arch]:
        """Return at most `n` new neighbours from those ahead, repaired where they are above the budget."""
        archs: list[Arch] = []
        while self.ahead and len(archs) < n:
            arch = within(self.problem.space, self.ahead.pop(), self.rng)
            repaired = repair(self.problem, arch, self.rng)
            if repaired is not None:
                archs += self.proposed.add([repaired], 1)
        return archs

    def state_dict(self) -> State:
        """Return generator, centre, what is ahead and what was proposed."""
        return {
            "rng": self.rng.bit_generator.state,
            "proposed": self.proposed.state(),
            "centre": self.centre,
            "ahead": list(self.ahead),
            "weights_version": self.weights_version,
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.rng.bit_generator.state = state["rng"]
        self.proposed.load(state["proposed"])
        centre = state["centre"]
        self.centre = None if centre is None else (tuple(centre[0]), centre[1])
        self.ahead = [tuple(arch) for arch in state["ahead"]]
        self.weights_version = state["weights_version"]
