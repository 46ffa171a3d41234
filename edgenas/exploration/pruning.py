"""Pruning: a search proposes less and less of its space, at trial counts that are fixed beforehand.

Before the search go options that no feasible architecture of a large sample has; during it, those that many trials have
and none of the best. Each point of the schedule looks at the trials before it and at nothing else, so a resumed search
prunes as one that never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from edgenas.exploration.feasible import network_keys, uniform
from edgenas.exploration.pareto import non_dominated
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace

POINTS = (0.0, 0.25, 0.5, 0.75)  # shares of the planned trials after which a search is pruned
BEST = 0.25  # share of the feasible trials that count as the best
CHANCE = 0.01  # an option is dropped if its absence from the best is less likely than this by chance
ROOM = 10  # feasible networks that must be left for each trial to come: a search must not run dry
SAMPLES = 4096  # architectures in which options without any feasible network are looked for: some milliseconds
ROOM_SAMPLES = 512  # architectures by which the feasible networks that are left are counted, after each drop
BLOCK = 512  # trials that are compared pairwise at a time: a matrix of megabytes, not of gigabytes


@dataclass(frozen=True)
class Absence:
    """An option, by position and index, that `tried` of the architectures have and none of the best."""

    choice: int
    option: int
    tried: int
    chance: float


def absences(space: SearchSpace, archs: Sequence[Arch], best: Sequence[Arch]) -> list[Absence]:
    """Return allowed options that none of `best`, a part of `archs`, has; those whose absence is least likely first.

    Only those that are absent by more than chance: `len(best)` draws from `archs` without replacement would hardly ever
    miss every architecture that has the option.

    Args:
        space: whose allowed options are looked at.
        archs: what was tried.
        best: the best of these.
    """
    options = [(i, option) for i, allowed in enumerate(space.allowed) if len(allowed) > 1 for option in allowed]
    # Reshaped, as numpy makes a single axis of no architectures at all: `best` may be empty.
    tried, among_best = (np.array(rows).reshape(len(rows), len(space.choices)) for rows in (archs, best))
    found = []
    for i, option in options:
        if not (among_best[:, i] == option).any():
            count = int((tried[:, i] == option).sum())
            chance = _all_missed(len(archs), count, len(best))
            if chance < CHANCE:
                found.append(Absence(i, option, count, chance))
    return sorted(found, key=lambda absence: absence.chance)


def _all_missed(total: int, marked: int, drawn: int) -> float:
    """Return the probability that `drawn` of `total` hold none of the `marked` (hypergeometric distribution)."""

    def log_falling(n: int) -> float:
        """Return log n (n - 1) ... (n - drawn + 1)."""
        return math.lgamma(n + 1) - math.lgamma(n - drawn + 1)

    return math.exp(log_falling(total - marked) - log_falling(total))


def comparable(trials: Sequence[Trial], quality: str) -> list[Trial]:
    """Return the feasible, scored trials of the newest weights among them."""
    newest = max((trial.weights_version for trial in trials), default=0)
    return [t for t in trials if t.feasible and t.weights_version == newest and quality in t.metrics]


def best_of(trials: Sequence[Trial], quality: str, costs: Sequence[str]) -> list[Trial]:
    """Return the best share by quality, and the front of quality and costs: cheap trials are results too.

    Args:
        trials: feasible and scored, on the same weights.
        quality: the metric to maximise.
        costs: the metrics to minimise, which have budgets.
    """
    ranked = sorted(trials, key=lambda trial: -trial.metrics[quality])
    front: list[Trial] = []
    for start in range(0, len(ranked), BLOCK):
        # What a block of trials pushes off the front stays off it, so that only the front so far meets the next block.
        front += ranked[start : start + BLOCK]
        points = [[-trial.metrics[quality], *(trial.metrics[metric] for metric in costs)] for trial in front]
        front = [trial for trial, kept in zip(front, non_dominated(points), strict=True) if kept]
    best = ranked[: math.ceil(BEST * len(ranked))]
    return list({trial.number: trial for trial in (*best, *front)}.values())


class Pruning:
    """Called with a study, it narrows what `strategy` proposes by every point of the schedule that has been reached."""

    def __init__(
        self, problem: Problem, strategy: Strategy, planned: int, rng: Generator, log: Callable[[str], None]
    ) -> None:
        """Follow the schedule of a search.

        Args:
            problem: what is searched.
            strategy: what is narrowed.
            planned: trials of the whole search.
            rng: for the samples by which options are judged.
            log: called with the schedule and with every option that is dropped.
        """
        self.problem, self.strategy, self.planned, self.rng, self.log = problem, strategy, planned, rng, log
        self.space = problem.space
        self.due = [math.ceil(share * planned) for share in POINTS]
        counts = ", ".join(map(str, self.due[1:]))
        log(f"pruning before the search and after {counts} trials (--no-prune: not at all)")

    def __call__(self, study: Study) -> None:
        """Prune at each point that `study` has reached, by the trials up to there."""
        self.advance(study.trials)

    def advance(self, trials: Sequence[Trial]) -> None:
        """Prune at each point that these trials of a study have reached."""
        while self.due and self.due[0] <= len(trials):
            point = self.due.pop(0)
            # A resumed search has all its trials at once: it must see at each point what the first one saw there, and
            # draw the same samples in the same order.
            narrowed = self._before() if point == 0 else self._during(trials[:point])
            # `_without` gives back the same object where nothing is dropped.
            if narrowed is not self.space:
                self.space = narrowed
                self.strategy.narrow(narrowed)

    def _before(self) -> SearchSpace:
        """Return the space without options that no feasible sample has; a choice may be left with one option."""
        archs = uniform(self.space, self.rng, SAMPLES)
        feasible = [arch for arch, kept in zip(archs, self.problem.feasible(archs), strict=True) if kept]
        found = absences(self.space, archs, feasible)
        return self._without(found, 1, self.planned, f"of {len(archs)} samples, none of the {len(feasible)} feasible")

    def _during(self, trials: Sequence[Trial]) -> SearchSpace:
        """Return the space without options that none of the best trials has; two options of each choice stay.

        What looks bad may be so only in the company it was tried in, and where one option is left nothing is compared.
        """
        objective = self.problem.objective
        seen = comparable(trials, objective.quality)
        best = best_of(seen, objective.quality, list(objective.budgets))
        found = absences(self.space, [trial.arch for trial in seen], [trial.arch for trial in best])
        return self._without(
            found, 2, self.planned - len(trials), f"of {len(seen)} feasible trials, none of the {len(best)} best"
        )

    def _without(self, found: Sequence[Absence], least: int, to_come: int, text: str) -> SearchSpace:
        """Return the space without these options.

        Args:
            found: options that may be dropped, the clearest cases first.
            least: how many options of each choice stay.
            to_come: trials that must find enough feasible networks in what is left.
            text: why they are dropped, for the log.
        """
        space = self.space
        for absence in found:
            choice = space.choices[absence.choice]
            others = [option for option in space.allowed[absence.choice] if option != absence.option]
            if len(others) < least:
                continue
            part = space.restrict({choice.name: others})
            if self._room(part) >= ROOM * to_come:
                space = part
                self.log(f"pruned: {choice.name} {choice.options[absence.option]} (in {absence.tried} {text})")
        return space

    def _room(self, space: SearchSpace) -> float:
        """Estimate how many feasible networks there are, from below where the sample covers the space."""
        archs = uniform(space, self.rng, ROOM_SAMPLES)
        feasible = [arch for arch, kept in zip(archs, self.problem.feasible(archs), strict=True) if kept]
        # Networks count, not samples: of a small space a sample holds the same ones again and again.
        return len(set(network_keys(space, feasible))) / len(archs) * math.prod(map(len, space.allowed))
