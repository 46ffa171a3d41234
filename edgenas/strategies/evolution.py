"""Ageing evolution inside the budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from numpy.random import Generator

from edgenas.exploration.feasible import ATTEMPTS, Archive, child, initial_individual, maybe_filled
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Context, Priced, Strategy
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch

if TYPE_CHECKING:
    from edgenas.system.checkpoint import State

# The first attempts at a network not proposed before are children: each mutates once more than the last, so the circle
# widens. The attempts that are left begin with a random architecture.
CHILDREN = 8


class Evolution(Strategy):
    """Regularised evolution: the oldest dies, not the worst (Real et al., 2019, arXiv:1802.01548, Alg. 1).

    Constrained as it stands, it loses to random search where feasible architectures are rare. So infeasible children
    are repaired instead of dropped, some initial individuals and children are enlarged until they fill the budget,
    children may have two parents, and no network is evaluated twice.
    """

    reward_form = "hard"

    def __init__(
        self,
        problem: Problem,
        rng: Generator,
        *,
        population_size: int = 32,
        tournament_size: int = 8,
        crossover_share: float = 0.5,
        fill_share: float = 0.25,
    ) -> None:
        """Begin with `population_size` random individuals; then the best of each tournament has a child.

        Args:
            problem: what is searched.
            rng: all its randomness.
            population_size: individuals that live; each new one replaces the oldest.
            tournament_size: individuals of which the best becomes a parent.
            crossover_share: probability that a child has two parents.
            fill_share: probability that an initial individual or a child fills the budget.
        """
        self.problem = problem
        self.rng = rng
        self.population_size = population_size
        self.tournament_size = tournament_size
        self.crossover_share = crossover_share
        self.fill_share = fill_share
        self.population: deque[tuple[Arch, float]] = deque(maxlen=population_size)
        self.proposed = Archive(problem.space)

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> Evolution:
        """Return it with a population that turns over a few times within the planned trials."""
        population = min(64, max(8, priced.config.trials // 6))
        rng = ctx.rng("evolution")
        return cls(priced.problem, rng, population_size=population, tournament_size=population // 4)

    def ask(self, n: int = 1) -> list[Arch]:
        """Return at most `n` new feasible architectures; [] when nothing new turns up."""
        archs: list[Arch] = []
        for _ in range(n):
            archs += self._new()
        return archs

    def tell(self, trials: Sequence[Trial]) -> None:
        """Let the trials join the population; as many of the oldest leave it."""
        # Failed trials join too: their rewards are below all scored ones, and they age like the others.
        self.population.extend((trial.arch, trial.reward) for trial in trials)

    def _new(self) -> list[Arch]:
        """Return one architecture whose network was not proposed before, or none."""
        # As in Alg. 1, nobody has a child before the population is full.
        children = CHILDREN if len(self.population) == self.population_size else 0
        for mutations in range(1, children + 1):
            arch = child(self.problem, self._parent, self.rng, self.crossover_share, mutations)
            if arch is not None:
                arch = maybe_filled(self.problem, arch, self.rng, self.fill_share)
                if new := self.proposed.add([arch], 1):
                    return new
        return initial_individual(self.problem, self.proposed, self.rng, self.fill_share, ATTEMPTS - children)

    def _parent(self) -> Arch:
        """Return the winner of a tournament: the best of a few members drawn with replacement."""
        contestants = self.rng.integers(len(self.population), size=self.tournament_size)
        return max((self.population[i] for i in contestants), key=lambda member: member[1])[0]

    def state_dict(self) -> State:
        """Return generator, population and what was proposed."""
        return {
            "rng": self.rng.bit_generator.state,
            "population": list(self.population),
            "proposed": self.proposed.state(),
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.rng.bit_generator.state = state["rng"]
        self.population.clear()
        self.population.extend((tuple(arch), reward) for arch, reward in state["population"])
        self.proposed.load(state["proposed"])
