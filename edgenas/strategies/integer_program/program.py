"""The best architecture by additive scores within additive budgets: integer programs, solved by HiGHS.

One program per combination of shape choices; relaxations tell which of them are worth solving.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgenas.cost.base import AdditiveCost, CostModel, many_additive
from edgenas.errors import UsageError
from edgenas.exploration.feasible import network_keys
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace, Statics
from edgenas.strategies.integer_program.network_flow import FlowProgram, OptionScores, Row

SECONDS = 10.0  # that a proposal is sought for, by default
# HiGHS stops at an absolute gap of 1e-6, which cannot be set; so scores are scaled until they spread this far.
SPREAD = 1e2
# A gap of this share of the scores' spread is none: rounding may leave as much.
ROUNDING = 1e-7


@dataclass(frozen=True)
class Solution:
    """What was found; `arch` is None if nothing was.

    No architecture of those asked for is above `bound`. `proven`: none is better than `arch`, or there is none.
    `passed` were met on the way: excluded networks in other words, or beyond a budget by rounding. To exclude them as
    well the next time saves time.
    """

    arch: Arch | None
    quality: float
    bound: float
    proven: bool
    seconds: float
    passed: tuple[Arch, ...] = ()


def solve(
    space: SearchSpace,
    costs: Sequence[CostModel],
    budgets: Mapping[str, float],
    scores: OptionScores,
    *,
    excluded: Iterable[Arch] = (),
    seconds: float = SECONDS,
) -> Solution:
    """Return the allowed architecture of the highest sum of scores within all `budgets` (metric to bound), proven.

    Args:
        space: of the architectures; its mask says what is allowed.
        costs: one for each budgeted metric, at least.
        budgets: upper bounds by metric, in the metric's unit.
        scores: `scores[choice][option]` counts if the architecture has that option, whether or not it is active.
        excluded: architectures whose networks are left out.
        seconds: about how long it may take; it ends with what it has.

    Raises:
        UsageError: a budget on a metric that is no sum over the network's kernels.
    """
    return Program(space, costs, budgets).solve(space, scores, excluded=excluded, seconds=seconds)


class Program:
    """The programs of a space under certain budgets: what does not depend on the scores is made once."""

    def __init__(self, space: SearchSpace, costs: Sequence[CostModel], budgets: Mapping[str, float]) -> None:
        """Check the costs; programs are written when they are first needed.

        Args:
            space: what is chosen from.
            costs: one for each budgeted metric, at least.
            budgets: upper bounds by metric, in the metric's unit.

        Raises:
            UsageError: a budget on a metric that is no sum over the network's kernels.
        """
        self.costs = _additive(costs, budgets)
        self.budgets = list(budgets.values())
        self._space = space
        self._parts: dict[Statics, FlowProgram] = {}

    def solve(
        self, space: SearchSpace, scores: OptionScores, *, excluded: Iterable[Arch] = (), seconds: float = SECONDS
    ) -> Solution:
        """Return the best architecture that `space`, the same or narrower, allows, and none of the networks `excluded`.

        Args:
            space: the same space as at the beginning, or a narrower one.
            scores: one number per option per choice; their sum is maximised.
            excluded: architectures whose networks are left out.
            seconds: about how long it may take; it ends with what it has.
        """
        started = time.monotonic()
        search = _Search(self, space, scores, list(excluded), started + seconds)
        search.run()
        proven = search.bound <= search.quality + ROUNDING * search.spread
        seconds_taken = time.monotonic() - started
        return Solution(search.arch, search.quality, search.bound, proven, seconds_taken, tuple(search.passed))

    def part(self, statics: Statics) -> FlowProgram:
        """Return the program of one combination of shape choices."""
        if statics not in self._parts:
            self._parts[statics] = FlowProgram(self._space, statics, self.costs, self.budgets)
        return self._parts[statics]

    def meets(self, arch: Arch) -> bool:
        """Return whether `arch` is within the budgets by the costs themselves."""
        values = many_additive(self.costs, self._space, [arch])[:, 0] if self.costs else ()
        return all(value <= budget for value, budget in zip(values, self.budgets, strict=True))


def _additive(costs: Sequence[CostModel], budgets: Iterable[str]) -> list[AdditiveCost]:
    """Return the cost of each budgeted metric."""
    by_metric = {cost.metric: cost for cost in costs}
    found = []
    for metric in budgets:
        if metric not in by_metric:
            raise UsageError(f"milp: a budget on {metric!r}, which no cost computes; there are {', '.join(by_metric)}")
        cost = by_metric[metric]
        if not isinstance(cost, AdditiveCost):
            raise UsageError(
                f"milp: {metric} is no sum over a network's kernels, so a budget on it is no row of an integer "
                "program; leave that budget out, or take another strategy, for example evolution"
            )
        found.append(cost)
    return found


class _Search:
    """One call of `Program.solve`."""

    def __init__(
        self, program: Program, space: SearchSpace, scores: OptionScores, excluded: Sequence[Arch], deadline: float
    ) -> None:
        self.program, self.space, self.scores, self.deadline = program, space, scores, deadline
        self.spread = max((max(row) - min(row) for row in scores), default=0.0) or 1.0
        self.top = math.fsum(map(max, scores))
        self.statics = list(space.all_statics())
        self.excluded = set(network_keys(space, excluded))
        self.cuts: dict[Statics, list[Row]] = {statics: [] for statics in self.statics}
        for arch in excluded:
            self.cut(arch)
        self.passed: list[Arch] = []
        self.arch: Arch | None = None
        self.quality = self.bound = -math.inf

    def cut(self, arch: Arch) -> None:
        """Cut off `arch` where it could be met."""
        statics = self.space.statics(arch)
        if statics in self.cuts:
            self.cuts[statics].append(self.program.part(statics).cut(arch))

    def run(self) -> None:
        """Solve relaxations of all shape choices, then programs by their bounds, until none promises more."""
        promises = {statics: self._ask(statics, whole=False)[1] for statics in self.statics}
        # The most promising first: once a better one is found, those that promise less are not solved.
        for statics, promise in sorted(promises.items(), key=lambda item: -item[1]):
            self.bound = max(self.bound, self._best_of(statics, promise))

    def _best_of(self, statics: Statics, promise: float) -> float:
        """Improve on what was found; return the bound on the quality with these shape choices."""
        while promise > self.quality and time.monotonic() < self.deadline:
            arch, bound = self._ask(statics, whole=True)
            promise = min(promise, bound)
            if arch is None:
                break
            # It meets the budgets by rounding alone, or is an excluded network, by options that make no difference.
            if not self.program.meets(arch) or network_keys(self.space, [arch])[0] in self.excluded:
                self.cut(arch)
                self.passed.append(arch)
                continue
            quality = math.fsum(row[option] for row, option in zip(self.scores, arch, strict=True))
            if quality > self.quality:
                self.arch, self.quality = arch, quality
            return max(promise, quality)
        return promise

    def _ask(self, statics: Statics, *, whole: bool) -> tuple[Arch | None, float]:
        """Return HiGHS's architecture, if any, and its bound; unless `whole`, fractions of options are allowed."""
        scale = SPREAD / self.spread
        # Less the best score of each choice, of which one option is taken: no ranking changes, and `top` is added back.
        arch, bound = self.program.part(statics).solve(
            self.space.allowed,
            [[scale * (score - max(row)) for score in row] for row in self.scores],
            self.cuts[statics],
            whole=whole,
            seconds=max(0.01, self.deadline - time.monotonic()),
        )
        return arch, self.top + bound / scale
