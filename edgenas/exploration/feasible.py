"""Inside the budget: samples, repair, filling the budget, children, and an archive of the networks already proposed.

All of it looks at costs alone, and takes a few milliseconds per step: one vectorised preview of many architectures.
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
REPAIRS = 16  # uniform samples that are repaired before a budget is taken to be out of reach
LARGEST_TRIES = 4  # at the largest scored architecture: each fills the budget in a random order
ATTEMPTS = 16  # at a network that was not proposed before, until a strategy takes the space to be exhausted
SIZE = "macs"  # the cost that stands for the size of a network
INACTIVE = 255  # stands for the option of a choice that decides nothing: no option has this index


def uniform(space: SearchSpace, rng: Generator, n: int) -> list[Arch]:
    """Return `n` independent uniformly random allowed architectures."""
    # `tolist` gives Python's integers: a trial's architecture goes to JSON, which refuses those of numpy.
    columns = [rng.choice(allowed, size=n) for allowed in space.allowed]
    return list(map(tuple, np.stack(columns, axis=1).tolist()))


def feasible_samples(problem: Problem, rng: Generator, draws: int) -> list[Arch]:
    """Return the feasible ones among `draws` uniform samples: uniform over what is feasible, and perhaps none."""
    archs = uniform(problem.space, rng, draws)
    return [arch for arch, kept in zip(archs, problem.feasible(archs), strict=True) if kept]


def random_feasible(problem: Problem, rng: Generator) -> Arch | None:
    """Return a random feasible architecture, uniform unless the budget is very tight: then a repaired sample.

    None if repair fails too: the budget cannot be met, or only by changing several choices at once.

    Args:
        problem: whose costs and budgets count.
        rng: for everything that is drawn here.
    """
    # A loose budget is met by one of the first few, and each preview costs time by its architectures.
    for draws in DRAWS:
        if found := feasible_samples(problem, rng, draws):
            return found[0]
    return next(repaired_samples(problem, rng), None)


def repaired_samples(problem: Problem, rng: Generator) -> Iterator[Arch]:
    """Yield what at most `REPAIRS` repairs of uniform samples give."""
    for arch in uniform(problem.space, rng, REPAIRS):
        if (repaired := repair(problem, arch, rng)) is not None:
            yield repaired


def repair(problem: Problem, arch: Arch, rng: Generator) -> Arch | None:
    """Return a feasible architecture near `arch`, by changing one choice at a time; `arch` itself if it is feasible.

    Each step lowers the violation: at random in proportion to the reduction, until some change meets the budget. Of
    those that do, the one that leaves the largest network is taken, so that a repair gives up no more than it must.
    None if no single change helps any more.

    Args:
        problem: whose costs and budgets count.
        arch: what may be above the budgets.
        rng: for everything that is drawn here.
    """
    violation = problem.violation([arch])[0]
    while violation > 0:
        nearby = neighbours(problem.space, arch)
        sizes, left = size_and_violation(problem, nearby)
        if (left == 0).any():
            return nearby[int(np.argmax(np.where(left == 0, sizes, -np.inf)))]
        # Every step lowers the violation, so that the walk meets no architecture twice and comes to an end.
        gains = np.maximum(0.0, violation - left)
        if not gains.any():
            return None
        chosen = int(rng.choice(len(nearby), p=gains / gains.sum()))
        arch, violation = nearby[chosen], left[chosen]
    return arch


def fill_budget(problem: Problem, arch: Arch, rng: Generator) -> Arch:
    """Enlarge a feasible `arch`, one random choice at a time, until no larger neighbour meets the budget.

    Args:
        problem: whose costs and budgets count.
        arch: feasible.
        rng: for everything that is drawn here.
    """
    while True:
        nearby = neighbours(problem.space, arch)
        # Only a strictly larger neighbour will do: among equal ones the walk could go in circles.
        sizes, violations = size_and_violation(problem, [arch, *nearby])
        fitting = np.flatnonzero((sizes[1:] > sizes[0]) & (violations[1:] == 0))
        if not len(fitting):
            return arch
        arch = nearby[int(rng.choice(fitting))]


def maybe_filled(problem: Problem, arch: Arch, rng: Generator, share: float) -> Arch:
    """Return a feasible `arch`, which fills the budget with probability `share`.

    Args:
        problem: whose costs and budgets count.
        arch: feasible.
        rng: for everything that is drawn here.
        share: probability, 0 to 1.
    """
    # Where nothing is ever filled, nothing is drawn either: one draw more changes all that a seed gives afterwards.
    return fill_budget(problem, arch, rng) if share and rng.random() < share else arch


def child(
    problem: Problem, parent: Callable[[], Arch], rng: Generator, crossover_share: float, mutations: int
) -> Arch | None:
    """Return a feasible child, or None if it cannot be repaired.

    Args:
        problem: whose space and budgets it keeps.
        parent: draws a parent each time it is called.
        rng: for everything that is drawn here.
        crossover_share: probability that the child has two parents.
        mutations: choices that are redrawn, one after the other.
    """
    arch = parent()
    if rng.random() < crossover_share:
        arch = crossover(arch, parent(), rng)
    # A parent may be older than the last narrowing of the space, and have options that are no longer allowed.
    arch = within(problem.space, arch, rng)
    for _ in range(mutations):
        arch = mutate(problem.space, arch, rng)
    return repair(problem, arch, rng)


def size_and_violation(problem: Problem, archs: Sequence[Arch]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sizes and violations, (len(archs),) each; a size is the MACs, or without these the first budgeted cost."""
    budgeted = list(problem.objective.budgets)
    metric = SIZE if any(cost.metric == SIZE for cost in problem.costs) else next(iter(budgeted), "")
    previews = problem.preview(archs, [metric, *budgeted])
    sizes = np.array([metrics.get(metric, 0.0) for metrics in previews])
    return sizes, np.array([problem.objective.violation(metrics) for metrics in previews])


def network_keys(space: SearchSpace, archs: Sequence[Arch]) -> list[bytes]:
    """Return a key per architecture; equal keys mean the same network, as choices that decide nothing do not count."""
    rows = space.rows(archs)
    return [row.tobytes() for row in np.where(space.active_choices(rows), rows, INACTIVE)]


class Archive:
    """The architectures seen so far, one per network."""

    def __init__(self, space: SearchSpace) -> None:
        """Start empty."""
        self._space = space
        self._archs: dict[bytes, Arch] = {}

    def add(self, archs: Iterable[Arch], most: int) -> list[Arch]:
        """Remember and return the first architectures whose networks are new, `most` at most."""
        added = self._new(list(archs), most)
        self._archs |= added
        return list(added.values())

    def new(self, archs: Iterable[Arch], most: int) -> list[Arch]:
        """Return what `add` would, without remembering it."""
        return list(self._new(list(archs), most).values())

    def _new(self, archs: list[Arch], most: int) -> dict[bytes, Arch]:
        new: dict[bytes, Arch] = {}
        for key, arch in zip(network_keys(self._space, archs), archs, strict=True):
            if len(new) < most and key not in self._archs:
                # The first of several architectures that are one network is the one that stays.
                new.setdefault(key, arch)
        return new

    def state(self) -> list[Arch]:
        """Return the architectures, in the order in which they came."""
        return list(self._archs.values())

    def load(self, archs: Sequence[Arch]) -> None:
        """Become the archive whose `state` this was."""
        self._archs = dict(zip(network_keys(self._space, archs), map(tuple, archs), strict=True))


def initial_individual(
    problem: Problem, proposed: Archive, rng: Generator, fill_share: float, attempts: int = ATTEMPTS
) -> list[Arch]:
    """Return a random feasible architecture of a new network; [] when nothing new turns up.

    Args:
        problem: whose budgets it meets.
        proposed: networks that are not new; it joins them.
        rng: for everything that is drawn here.
        fill_share: probability that it fills the budget.
        attempts: how often a new network is sought.
    """
    for _ in range(attempts):
        arch = random_feasible(problem, rng)
        if arch is None:
            break
        if new := proposed.add([maybe_filled(problem, arch, rng, fill_share)], 1):
            return new
    return []


def new_samples(problem: Problem, proposed: Archive, rng: Generator, n: int, *, to_fill: int = 0) -> list[Arch]:
    """Return at most `n` random feasible architectures of new networks, which join `proposed`.

    Where thousands of samples hold no new feasible one, repaired ones are returned; [] when nothing new turns up.

    Args:
        problem: whose costs and budgets count.
        proposed: networks that are not new.
        rng: for everything that is drawn here.
        n: how many are wanted.
        to_fill: samples, the first ones, that fill the budget.
    """
    archs: list[Arch] = []
    for draws in DRAWS:
        samples = feasible_samples(problem, rng, draws)
        filled = [fill_budget(problem, arch, rng) for arch in samples[:to_fill]]
        to_fill -= len(filled)
        archs += proposed.add(filled + samples[len(filled) :], n - len(archs))
        if len(archs) == n:
            break
    return archs or proposed.add(repaired_samples(problem, rng), n)


def scored_bounds(problem: Problem, rng: Generator) -> tuple[Arch, Arch]:
    """Return the largest architecture that any reward form scores, and the cheapest one that is scored.

    The largest is the best of `LARGEST_TRIES` that fill the widened budgets, by their MACs; the cheapest is so by the
    first budget's cost, which holds the latency that must be met.

    Args:
        problem: with at least one budget, and MACs among its costs.
        rng: for everything that is drawn here.
    """
    widest = max(SCORED_UP_TO.values())
    budgets = {metric: widest * bound for metric, bound in problem.objective.budgets.items()}
    roomy = replace(problem, objective=Objective(budgets))
    cheapest = cheapest_arch(problem.space, _cost(problem, next(iter(budgets))))
    cheapest = repair(roomy, cheapest, rng) or cheapest  # the fastest need not meet the other budgets
    start = random_feasible(roomy, rng) or cheapest
    tries = LARGEST_TRIES if roomy.feasible([start])[0] else 0
    filled = [fill_budget(roomy, start, rng) for _ in range(tries)] or [start]
    macs = _cost(problem, SIZE).many(problem.space, filled)
    return filled[int(np.argmax(macs))], cheapest


def _cost(problem: Problem, metric: str) -> CostModel:
    return next(cost for cost in problem.costs if cost.metric == metric)
