"""A genetic algorithm for the whole front of quality against costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgenas.exploration.feasible import ATTEMPTS, Archive, child, initial_individual, maybe_filled
from edgenas.exploration.objective import Metrics
from edgenas.exploration.pareto import crowding, fronts
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Context, Priced, Strategy
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.strategies.predictors.interface import normal_scores
from edgenas.strategies.predictors.pairs import Pairs

if TYPE_CHECKING:
    from edgenas.system.checkpoint import State

# The first attempts at a network not proposed before are broods: each mutates once more than the last, so the circle
# widens. The attempts that are left begin with a random architecture.
BROODS = 8

Individual = tuple[Arch, float, list[float]]  # an architecture, its quality and its costs


class GA(Strategy):
    """NSGA-II: parents and survivors by front, then by crowding distance (Deb et al., 2002, doi:10.1109/4235.996017).

    Differences. One child at a time joins the population and the last leaves it (steady state: Durillo et al., 2009,
    doi:10.1007/978-3-642-01020-0_18). Crossover takes each choice from either parent, mutation redraws one. What is
    above a budget is repaired, which leaves constraint-domination nothing to decide; failed trials are no members.
    Under budgets some initial individuals and children are enlarged until they fill them, and costs below a share of
    the budget count as equal, or most of the front would be far from what is asked for. No network is evaluated twice.
    Costs are free, and quality can be guessed from the trials so far (ridge models on options and their pairs): of
    several children the one is evaluated that would come first among the survivors.
    """

    reward_form = "hard"

    def __init__(
        self,
        problem: Problem,
        rng: Generator,
        *,
        metrics: Sequence[str] | None = None,
        population_size: int = 20,
        initial: int = 32,
        children: int = 8,
        crossover_share: float = 0.5,
        fill_share: float = 0.25,
        floor: float = 0.5,
    ) -> None:
        """Search the front of quality against the costs `metrics`.

        Args:
            problem: what is searched.
            rng: all its randomness.
            metrics: by default those with a budget, since they are what the device limits; without any, the first cost.
                With more of them nearly all trials are on the front.
            population_size: individuals that live.
            initial: proposals at first that are random.
            children: how many compete for each evaluation; with 1 nothing is guessed.
            crossover_share: probability that a child has two parents.
            fill_share: probability that an initial individual or a child fills the budget.
            floor: share of the budget below which costs do not differ.
        """
        self.problem = problem
        self.rng = rng
        budgeted, costs = list(problem.objective.budgets), [cost.metric for cost in problem.costs]
        self.metrics = list(metrics) if metrics is not None else budgeted or costs[:1]
        self.population_size = population_size
        self.initial = initial
        self.children = children
        self.crossover_share = crossover_share
        # Without budgets, filling would end at the largest network every time.
        self.fill_share = fill_share if problem.objective.budgets else 0.0
        self.floor = floor
        self.proposed = Archive(problem.space)
        self.members: list[Individual] = []  # all that were told
        self.population: list[int] = []  # those that live, best first
        self.weights_version = 0
        self.seed = int(rng.integers(2**62))
        self.model: Pairs | None = None
        self.fitted = 0  # members that the model has learned from: with the seed, they are all that it depends on

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> GA:
        """Return it with as many initial individuals as leave most of the planned trials to children."""
        return cls(priced.problem, ctx.rng("ga"), initial=min(32, max(8, priced.config.trials // 5)))

    def ask(self, n: int = 1) -> list[Arch]:
        """Return at most `n` new feasible architectures; [] when nothing new turns up."""
        archs: list[Arch] = []
        for _ in range(n):
            archs += self._new(len(self.members) + len(archs) < self.initial)
        return archs

    def tell(self, trials: Sequence[Trial]) -> None:
        """Let the trials join the population; as many of the last leave it."""
        for trial in trials:
            # Qualities by other weights cannot be compared: all begin again.
            if trial.weights_version > self.weights_version:
                self.weights_version = trial.weights_version
                self.members, self.population, self.model, self.fitted = [], [], None, 0
            if trial.feasible and self.problem.objective.quality in trial.metrics:
                self.population.append(len(self.members))
                quality = trial.metrics[self.problem.objective.quality]
                self.members.append((trial.arch, quality, self._costs(trial.metrics)))
        living = [self.members[i] for i in self.population]
        order = _order([q for _, q, _ in living], [costs for *_, costs in living])
        self.population = [self.population[i] for i in order[: self.population_size]]

    def _costs(self, metrics: Metrics) -> list[float]:
        """Return the costs as objectives, equal where they are below a share of the budget."""
        budgets = self.problem.objective.budgets
        return [max(metrics[m], self.floor * budgets[m]) if m in budgets else metrics[m] for m in self.metrics]

    def _new(self, is_initial: bool) -> list[Arch]:
        """Return one architecture whose network was not proposed before, or none."""
        broods = 0 if is_initial or not self.population else BROODS
        for mutations in range(1, broods + 1):
            if new := self.proposed.add(self._ranked(self._brood(mutations)), 1):
                return new
        return initial_individual(self.problem, self.proposed, self.rng, self.fill_share, ATTEMPTS - broods)

    def _brood(self, mutations: int) -> list[Arch]:
        """Return feasible children, of which some fill the budget."""
        problem, rng = self.problem, self.rng
        born = [child(problem, self._parent, rng, self.crossover_share, mutations) for _ in range(self.children)]
        return [maybe_filled(problem, arch, rng, self.fill_share) for arch in born if arch is not None]

    def _parent(self) -> Arch:
        """Return the winner of a tournament of two: the population is in order."""
        place = int(self.rng.integers(len(self.population), size=2).min())
        return self.members[self.population[place]][0]

    def _ranked(self, archs: Sequence[Arch]) -> Sequence[Arch]:
        """Return `archs` in the order in which they would stand among those that live, as far as can be guessed."""
        if len(archs) < 2:
            return archs
        model = self._learned()
        # The model predicts normal scores, so those that live are put on the same scale.
        scores = normal_scores([quality for _, quality, _ in self.members])
        living = list(self.population)
        qualities = [*scores[living], *model.predict(archs)[0]]
        costs = [self.members[i][2] for i in living] + [
            self._costs(m) for m in self.problem.preview(archs, self.metrics)
        ]
        # Those that live have the first rows, and are negative here.
        order = _order(qualities, costs) - len(living)
        return [archs[i] for i in order if i >= 0]

    def _learned(self) -> Pairs:
        """Return the model, which is fitted again with each generation, and more rarely where that takes long."""
        if self.fitted == 0 or len(self.members) - self.fitted >= max(self.population_size, self.fitted // 10):
            self.model, self.fitted = None, len(self.members)
        if self.model is None:
            known = self.members[: self.fitted]
            self.model = Pairs(self.problem.space)
            rng = np.random.default_rng([self.seed, self.fitted])
            self.model.fit([arch for arch, *_ in known], [quality for _, quality, _ in known], rng)
        return self.model

    def state_dict(self) -> State:
        """Return generator, members, who lives, what was proposed and how much the model has learned from."""
        return {
            "rng": self.rng.bit_generator.state,
            "proposed": self.proposed.state(),
            "members": [(arch, quality, list(costs)) for arch, quality, costs in self.members],
            "population": list(self.population),
            "weights_version": self.weights_version,
            "seed": self.seed,
            "fitted": self.fitted,
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from there; the model learns again what it had learned."""
        self.rng.bit_generator.state = state["rng"]
        self.proposed.load(state["proposed"])
        self.members = [(tuple(arch), quality, list(costs)) for arch, quality, costs in state["members"]]
        self.population = list(state["population"])
        self.weights_version, self.seed, self.fitted = state["weights_version"], state["seed"], state["fitted"]
        self.model = None


def _order(qualities: Sequence[float], costs: Sequence[Sequence[float]]) -> NDArray[np.int64]:
    """Return positions, best first: by front, then by crowding distance, largest first, then by position."""
    points = np.column_stack([-np.asarray(qualities), np.asarray(costs)])
    front = fronts(points)
    # The last key counts first; the sort is stable, so equal ones stay in their order.
    return np.lexsort((-crowding(points, front), front))
