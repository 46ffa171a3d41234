"""Inside the budget: samples, repair, growth, children, founders, and a memory of the networks already proposed.

All look at costs alone and cost a few milliseconds per step: one vectorised preview of many architectures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgenas.cost.base import CostModel
from edgenas.cost.bounds import cheapest_arch
from edgenas.exploration.objective import SCORED_UP_TO, Objective
from edgenas.exploration.problem import Problem
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import crossover, mutate, neighbours, within

# Rejection sampling draws twice as many each time, 4,080 in all, before repair takes over.
DRAWS = (16, 32, 64, 128, 256, 512, 1024, 2048)
REPAIRS = 16
LARGEST_TRIES = 4  # at the largest scored architecture: each fills the budget in a random order
ATTEMPTS = 16  # at a network not proposed before
WORK = "macs"
NOT_ASKED = 255  # no option's number


def uniform(space: SearchSpace, rng: Generator, n: int) -> list[Arch]:
    """`n` independent uniformly random allowed architectures."""
    columns = [rng.choice(allowed, size=n) for allowed in space.allowed]
    return list(map(tuple, np.stack(columns, axis=1).tolist()))


def feasible_samples(problem: Problem, rng: Generator, draws: int) -> list[Arch]:
    """The feasible ones of so many uniform samples: uniform over the feasible architectures. May be empty."""
    archs = uniform(problem.space, rng, draws)
    return [arch for arch, kept in zip(archs, problem.feasible(archs), strict=True) if kept]


def random_feasible(problem: Problem, rng: Generator) -> Arch | None:
    """A random feasible architecture, uniform unless the budget is very tight: then repaired samples.

    None if repair fails too: the budget is out of reach, or reached only by changing several choices at once.
    """
    for draws in DRAWS:
        if found := feasible_samples(problem, rng, draws):
            return found[0]
    return next(repaired_samples(problem, rng), None)


def repaired_samples(problem: Problem, rng: Generator) -> Iterator[Arch]:
    """The results of at most `REPAIRS` repairs of uniform samples, one at a time."""
    for arch in uniform(problem.space, rng, REPAIRS):
        if (repaired := repair(problem, arch, rng)) is not None:
            yield repaired


def repair(problem: Problem, arch: Arch, rng: Generator) -> Arch | None:
    """A feasible architecture near `arch`, by changing one choice at a time; `arch` itself if it is feasible.

    Each step lowers the excess: at random in proportion to the reduction, until some change reaches the budget. Of
    those that do, the one that is left with most work is taken, so that a repair gives up no more than it must. None
    if no single change helps any more.
    """
    excess = problem.excess([arch])[0]
    while excess > 0:
        nearby = neighbours(problem.space, arch)
        work, left = survey(problem, nearby)
        if (left == 0).any():
            return nearby[int(np.argmax(np.where(left == 0, work, -np.inf)))]
        gains = np.maximum(0.0, excess - left)
        if not gains.any():
            return None
        chosen = int(rng.choice(len(nearby), p=gains / gains.sum()))
        arch, excess = nearby[chosen], left[chosen]
    return arch


def grow(problem: Problem, arch: Arch, rng: Generator) -> Arch:
    """A feasible `arch` made larger, one random choice at a time, until no single change fits the budget any more."""
    while True:
        nearby = neighbours(problem.space, arch)
        work, excess = survey(problem, [arch, *nearby])
        fitting = np.flatnonzero((work[1:] > work[0]) & (excess[1:] == 0))
        if not len(fitting):
            return arch
        arch = nearby[int(rng.choice(fitting))]


def sometimes_grown(problem: Problem, arch: Arch, rng: Generator, share: float) -> Arch:
    """A feasible `arch`, grown so large a share of the time."""
    return grow(problem, arch, rng) if share and rng.random() < share else arch


def child(
    problem: Problem, parent: Callable[[], Arch], rng: Generator, crossover_share: float, mutations: int
) -> Arch | None:
    """A child of one parent, or a share of the time of two, mutated so often and repaired; None if repair fails."""
    arch = parent()
    if rng.random() < crossover_share:
        arch = crossover(arch, parent(), rng)
    arch = within(problem.space, arch, rng)
    for _ in range(mutations):
        arch = mutate(problem.space, arch, rng)
    return repair(problem, arch, rng)


def survey(problem: Problem, archs: Sequence[Arch]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Work and excess (len(archs),) each. Work is multiply-adds if they are a cost, else the first budgeted metric."""
    budgeted = list(problem.objective.budgets)
    metric = WORK if any(cost.metric == WORK for cost in problem.costs) else next(iter(budgeted), "")
    previews = problem.preview(archs, [metric, *budgeted])
    work = np.array([metrics.get(metric, 0.0) for metrics in previews])
    return work, np.array([problem.objective.excess(metrics) for metrics in previews])


def networks(space: SearchSpace, archs: Sequence[Arch]) -> list[bytes]:
    """One key per architecture; equal keys mean the same network: options of blocks that are not there do not count."""
    rows = space.rows(archs)
    return [row.tobytes() for row in np.where(space.active_choices(rows), rows, NOT_ASKED)]


class Proposed:
    """The architectures proposed so far, one per network."""

    def __init__(self, space: SearchSpace) -> None:
        """None yet."""
        self._space = space
        self._archs: dict[bytes, Arch] = {}

    def add(self, archs: Iterable[Arch], most: int) -> list[Arch]:
        """Remember and return the first architectures whose networks are new, at most so many."""
        added = self._new(list(archs), most)
        self._archs |= added
        return list(added.values())

    def new(self, archs: Iterable[Arch], most: int) -> list[Arch]:
        """As `add`, without remembering them."""
        return list(self._new(list(archs), most).values())

    def _new(self, archs: list[Arch], most: int) -> dict[bytes, Arch]:
        new: dict[bytes, Arch] = {}
        for key, arch in zip(networks(self._space, archs), archs, strict=True):
            if len(new) < most and key not in self._archs:
                new.setdefault(key, arch)
        return new

    def state(self) -> list[Arch]:
        """The architectures, in order."""
        return list(self._archs.values())

    def load(self, archs: Sequence[Arch]) -> None:
        """Inverse of `state`."""
        self._archs = dict(zip(networks(self._space, archs), map(tuple, archs), strict=True))


def founder(
    problem: Problem, proposed: Proposed, rng: Generator, grown_share: float, attempts: int = ATTEMPTS
) -> list[Arch]:
    """A random feasible architecture of a new network, a share of the time grown; [] when nothing new turns up."""
    for _ in range(attempts):
        arch = random_feasible(problem, rng)
        if arch is None:
            break
        if new := proposed.add([sometimes_grown(problem, arch, rng, grown_share)], 1):
            return new
    return []


def new_samples(problem: Problem, proposed: Proposed, rng: Generator, n: int, *, to_grow: int = 0) -> list[Arch]:
    """At most `n` random feasible architectures of new networks, the first so many of the samples grown.

    Repaired ones if thousands of samples hold no new feasible one; [] when nothing new turns up.
    """
    archs: list[Arch] = []
    for draws in DRAWS:
        samples = feasible_samples(problem, rng, draws)
        grown = [grow(problem, arch, rng) for arch in samples[:to_grow]]
        to_grow -= len(grown)
        archs += proposed.add(grown + samples[len(grown) :], n - len(archs))
        if len(archs) == n:
            break
    return archs or proposed.add(repaired_samples(problem, rng), n)


def scored_bounds(problem: Problem, rng: Generator) -> tuple[Arch, Arch]:
    """Return the largest architecture that any reward form scores, and the cheapest one that is scored.

    The largest is the best of `LARGEST_TRIES` that fill the widened budgets, by their MACs; the cheapest is so by the
    first budget's cost, which holds the latency that must be met.
    """
    reach = max(SCORED_UP_TO.values())
    budgets = {metric: reach * bound for metric, bound in problem.objective.budgets.items()}
    roomy = replace(problem, objective=Objective(budgets))
    cheapest = cheapest_arch(problem.space, _cost(problem, next(iter(budgets))))
    cheapest = repair(roomy, cheapest, rng) or cheapest  # the fastest need not meet the other budgets
    start = random_feasible(roomy, rng) or cheapest
    grown = [grow(roomy, start, rng) for _ in range(LARGEST_TRIES)] if roomy.feasible([start])[0] else [start]
    macs = _cost(problem, WORK).many(problem.space, grown)
    return grown[int(np.argmax(macs))], cheapest


def _cost(problem: Problem, metric: str) -> CostModel:
    return next(cost for cost in problem.costs if cost.metric == metric)
