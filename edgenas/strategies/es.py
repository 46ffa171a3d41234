"""Evolution strategy on the scores that a space decodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Context, Priced
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import free_choices
from edgenas.strategies.populations.generations import Generational, Plan, decoded, initial_for

PLAN = Plan(parents=4, patience=4)
# Each attempt at new children widens the step by this factor, as all that smaller steps gave was known.
WIDER = 1.5

# Random keys (choices, most options), after the number of architectures if there are several.
Keys = NDArray[np.float64]


class EvolutionStrategy(Generational):
    """(mu/mu_w + lambda) evolution strategy on random keys, with the separable rank-mu update of sep-CMA-ES.

    Ros & Hansen, 2008 (doi:10.1007/978-3-540-87700-4_30): scores are normal, with a mean and a variance for each
    option; weighted recombination of the best moves the mean, the spread of their scores about it is the variance. A
    sample is `decode` of scores (random keys: Bean, 1994). Deviations, for some hundred evaluations of discrete things:

    - Parents compete with their children, so the learning rates are 1: the memory is in the parents.
    - A parent enters as one-hot scores of its architecture, not as its sample: what `decode` did not read is noise, and
      initial and repaired architectures have a place too.
    - `decode` does not see a common scale, so there is no path for the step size. A lower margin of the variance (the
      idea of arXiv:2205.13482) keeps samples about `changes` choices away from parents that agree; the step is
      lengthened when all that it reaches is known.
    - Samples are picked by cost before any is evaluated, a share is random, and a stalled search starts again.
    """

    reward_form = "hard"

    def __init__(self, problem: Problem, rng: Generator, plan: Plan = PLAN, *, changes: float = 1.0) -> None:
        """Breed children that differ in `changes` choices, on average, where all parents are equal."""
        super().__init__(problem, rng, plan)
        self.changes = changes

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> EvolutionStrategy:
        """Return it with as many initial individuals as suit the planned trials."""
        return cls(priced.problem, ctx.rng("es"), replace(PLAN, initial=initial_for(priced.config.trials)))

    def _bred(self, n: int, attempt: int) -> list[Arch]:
        """Return samples of the distribution that the survivors describe."""
        space = self.problem.space
        mean, variance = distribution(space, [arch for arch, _ in self.survivors])
        deviation = WIDER**attempt * np.sqrt(np.maximum(variance, margin(space, self.changes)))
        return decoded(space, mean + deviation * self.rng.normal(size=(n, *mean.shape)))


def distribution(space: SearchSpace, parents: Sequence[Arch]) -> tuple[Keys, Keys]:
    """Return mean and variance of the keys that describe `parents`, best first."""
    # Recombination weights of CMA-ES: they fall with the logarithm of the rank, and none is negative.
    weights = np.log(len(parents) + 0.5) - np.log(np.arange(1, len(parents) + 1))
    weights /= weights.sum()
    widest = max(len(choice.options) for choice in space.choices)
    keys = (np.array(parents)[..., None] == np.arange(widest)).astype(np.float64)
    mean = np.tensordot(weights, keys, axes=1)
    return mean, np.tensordot(weights, (keys - mean) ** 2, axes=1)


def margin(space: SearchSpace, changes: float) -> float:
    """Return the variance at which `changes` choices are expected to change where all parents agree."""
    others = sum(len(space.allowed[i]) - 1 for i in free_choices(space))
    # Two scores whose means differ by 1 swap with these odds; never more than the odds of a random order. Their
    # difference is normal with mean 1 and twice the variance, hence the 0.5 below.
    odds = min(0.4, changes / max(1, others))
    return 0.5 / NormalDist().inv_cdf(1 - odds) ** 2
