"""Exact integer programming on learned scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgenas.exploration.feasible import Archive, feasible_samples, new_samples
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Context, Priced, Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.sampling import one_hot
from edgenas.strategies.integer_program.network_flow import OptionScores
from edgenas.strategies.integer_program.program import SECONDS, Program, Solution

if TYPE_CHECKING:
    from edgenas.system.checkpoint import State

# An initial individual is that of as many samples whose options were proposed most seldom.
POOL = 64
# What interactions make of losses that were measured option by option: the deviation of a factor's logarithm.
INTERACTION = 0.3
DRAWS = 8  # of the learned scores, whose optima are told beside their own
# Ridge penalty, and the least share of the rewards' deviation that counts as noise: few trials can be fitted exactly.
PENALTY, LEAST_NOISE = 1.0, 0.05


class Milp(Strategy):
    """The best architecture within the budgets by additive scores, proven by an integer program for each proposal.

    The scores are learned: a ridge regression of the rewards so far on the chosen options, drawn from its posterior, so
    that options of which little is known are tried (linear Thompson sampling, arXiv:1209.3352). The first proposals are
    feasible samples that between them show every option. Where it is known what each option costs by itself, as with
    networks that are cut out of a trained one, the first proposals are the best by that, of all and of each shape, then
    such with some noise, and what is learned from trials is what it misses (LANA, arXiv:2107.10624, where the best by
    single losses are compared as a whole). Networks proposed before are cut off, so the search ends exactly when no new
    network meets the budgets.
    """

    reward_form = "hard"
    expects = True

    def __init__(self, problem: Problem, rng: Generator, *, initial: int = 16, seconds: float = SECONDS) -> None:
        """Prepare the program.

        Args:
            problem: what is searched.
            rng: all its randomness.
            initial: proposals at first that between them show every option.
            seconds: for which a proposal is sought at most; `notes` says it if one is not proven the best by then.

        Raises:
            UsageError: a budget is on a metric that is no sum over the network's kernels.
        """
        self.problem = problem
        self.rng = rng
        self.initial = initial
        self.seconds = seconds
        self.program = Program(problem.space, problem.costs, problem.objective.budgets)
        self.proposed = Archive(problem.space)
        self.passed: list[Arch] = []
        self.rewards: list[tuple[Arch, float]] = []
        self.weights_version = 0
        self.unproven = 0
        self.expected: NDArray[np.float64] | None = None  # a number per option of all choices
        self.best_expected: list[Arch] = []
        self.notes: list[str] = []

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> Milp:
        """Return it with a sixth of the planned trials as initial individuals."""
        return cls(priced.problem, ctx.rng("milp"), initial=min(32, max(8, priced.config.trials // 6)))

    def expect(self, scores: OptionScores) -> Arch | None:
        """Take over what each option is worth by itself, and return the best architecture by that."""
        self.expected = np.concatenate([np.asarray(row, dtype=np.float64) - max(row) for row in scores])
        best = self.program.solve(self.problem.space, self._rows(self.expected), seconds=self.seconds).arch
        self.best_expected = [] if best is None else [best, *self._best_of_each_shape(self.program)]
        return best

    def ask(self, n: int = 1) -> list[Arch]:
        """Return at most `n` new feasible architectures; [] when it is proven that there is none."""
        archs: list[Arch] = []
        while len(archs) < n and (new := self._new()):
            archs += new
        return archs

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from the rewards; those of older weights are forgotten, failed trials teach nothing."""
        for trial in trials:
            if trial.weights_version > self.weights_version:
                self.weights_version = trial.weights_version
                self.rewards.clear()
            if trial.error is None:
                self.rewards.append((trial.arch, trial.reward))

    def recommend(self, study: Study, k: int) -> list[Arch]:
        """Return the optimum of the learned scores, with its proof in `notes`, then the best trials."""
        trials = [trial.arch for trial in study.best(k)]
        self.notes = []
        if not self.rewards:
            return trials
        solution = self.program.solve(self.problem.space, self._scores(draw=False), seconds=self.seconds)
        self.notes = [describe(solution, self.seconds), *self._unproven()]
        return Archive(self.problem.space).add([arch for arch in (solution.arch, *trials) if arch is not None], k)

    def within(self, problem: Problem) -> list[Arch]:
        """Return the optimum of the learned scores, and of draws from what they leave open.

        Before anything is learned, the optimum of each shape by what options cost. Nothing where that is not known:
        there, few trials tell little of what was not tried.
        """
        if self.expected is None:
            return []
        space, program = problem.space, Program(problem.space, problem.costs, problem.objective.budgets)
        if not self.rewards:
            return self._best_of_each_shape(program)
        found: list[Arch] = []
        for number in range(1 + DRAWS):
            scores = self._scores(draw=number > 0)
            arch = program.solve(space, scores, excluded=found, seconds=self.seconds).arch
            if arch is not None:
                found.append(arch)
        return found

    def _best_of_each_shape(self, program: Program) -> list[Arch]:
        """The optimum of each shape by what options cost by themselves; [] where that is not known.

        Sums of such costs tell little of one shape against another: what a smaller image costs is all there, while what
        several blocks cost is less than their sum.
        """
        if self.expected is None:
            return []
        space, rows = self.problem.space, self._rows(self.expected)
        shapes = [
            space.restrict({space.choices[i].name: [o] for i, o in zip(space.static_indices, statics, strict=True)})
            for statics in space.all_statics()
        ]
        found = [program.solve(shape, rows, seconds=self.seconds).arch for shape in shapes]
        return [arch for arch in found if arch is not None]

    def _new(self) -> list[Arch]:
        """Return the next architecture, or none; at first it is a sample with options that were seldom proposed."""
        proposed = self.proposed.state()
        if len(proposed) >= self.initial and self.rewards:
            return self._best(self._scores(draw=True))
        if self.expected is not None:
            return self.proposed.add(self.best_expected, 1) or self._best(self._rows(self._expected(draw=True)))
        rarity = self._rarity(proposed)
        samples = feasible_samples(self.problem, self.rng, POOL)
        samples.sort(key=lambda arch: -sum(row[option] for row, option in zip(rarity, arch, strict=True)))
        return self.proposed.add(samples, 1) or self._best(rarity)

    def _rarity(self, archs: Sequence[Arch]) -> list[list[float]]:
        """Return scores that prefer options by how few of `archs` have them, at random where counts are equal."""
        counts = [[0] * len(choice.options) for choice in self.problem.space.choices]
        for arch in archs:
            for row, option in zip(counts, arch, strict=True):
                row[option] += 1
        return [[1.0 / (1 + count) + 0.1 * self.rng.random() for count in row] for row in counts]

    def _best(self, scores: OptionScores) -> list[Arch]:
        """Return the best new architecture by these scores; where the time does not suffice, a feasible one."""
        excluded = [*self.proposed.state(), *self.passed]
        solution = self.program.solve(self.problem.space, scores, excluded=excluded, seconds=self.seconds)
        self.passed += solution.passed
        self.unproven += not solution.proven
        arch = solution.arch
        if arch is None and solution.proven:
            left = "no other network meets" if self.proposed.state() else "no architecture meets"
            self.notes = [f"milp: proven that {left} the budgets"]
        elif arch is None:
            return new_samples(self.problem, self.proposed, self.rng, 1)
        return [] if arch is None else self.proposed.add([arch], 1)

    def _scores(self, *, draw: bool) -> list[list[float]]:
        """Return one score per option per choice, which add up to the reward that a ridge regression expects.

        Or a draw from what the regression leaves open, on the rewards' ranks: there a network that does not train is
        one place behind the next, and no outlier.
        """
        chosen = np.array([np.concatenate(one_hot(self.problem.space, arch)) for arch, _ in self.rewards])
        rewards = np.array([reward for _, reward in self.rewards])
        if draw:
            rewards = np.unique(rewards, return_inverse=True)[1].astype(np.float64)
        spread = max(float(rewards.std()), 1e-9)  # all equal: nothing to learn yet
        # Centred, so that the penalty does not pull the mean reward to 0.
        x, y = chosen - chosen.mean(axis=0), (rewards - rewards.mean()) / spread
        known = np.zeros(x.shape[1])
        if self.expected is not None:  # in the rewards' unit; trials that contradict it make it count for nothing
            by_itself = x @ self.expected
            unit = max(0.0, float(by_itself @ y) / max(float(by_itself @ by_itself), 1e-12))
            known = unit * self._expected(draw=draw)
            y = y - x @ known
        precision = x.T @ x + PENALTY * np.eye(x.shape[1])
        weights = np.linalg.solve(precision, x.T @ y)
        if draw:
            deviation = max(LEAST_NOISE, float(np.sqrt(np.mean((y - x @ weights) ** 2))))
            # The posterior's covariance is deviation^2 times the inverse of L L^T: a normal vector is solved by L^T.
            normal = self.rng.normal(size=len(weights))
            weights += deviation * np.linalg.solve(np.linalg.cholesky(precision).T, normal)
        weights = (weights + known) * spread
        # One option of each choice is taken, so those of the first one can hold the constant.
        weights[: len(self.problem.space.choices[0].options)] += rewards.mean() - chosen.mean(axis=0) @ weights
        return self._rows(weights)

    def _expected(self, *, draw: bool) -> NDArray[np.float64]:
        """What each option is worth by itself, or what it may be worth beside others."""
        assert self.expected is not None
        if not draw:
            return self.expected
        return self.expected * np.exp(INTERACTION * self.rng.normal(size=len(self.expected)))

    def _rows(self, weights: NDArray[np.float64]) -> list[list[float]]:
        """Numbers per option of all choices, choice by choice."""
        ends = np.cumsum([len(choice.options) for choice in self.problem.space.choices])
        return [row.tolist() for row in np.split(weights, ends[:-1])]

    def _unproven(self) -> list[str]:
        if not self.unproven:
            return []
        return [f"milp: {self.unproven} proposals were not proven the best within {self.seconds:g} s each"]

    def state_dict(self) -> State:
        """Return generator, what was proposed, and rewards."""
        return {
            "rng": self.rng.bit_generator.state,
            "proposed": self.proposed.state(),
            "passed": list(self.passed),
            "rewards": list(self.rewards),
            "weights_version": self.weights_version,
            "unproven": self.unproven,
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.rng.bit_generator.state = state["rng"]
        self.proposed.load(state["proposed"])
        self.passed = list(map(tuple, state["passed"]))
        self.rewards = [(tuple(arch), reward) for arch, reward in state["rewards"]]
        self.weights_version = state["weights_version"]
        self.unproven = state["unproven"]


def describe(solution: Solution, seconds: float) -> str:
    """Return a line for the user: expected quality, bound, and whether the optimum is proven."""
    if solution.arch is None:
        return f"milp: no architecture was found within {seconds:g} s"
    found = f"milp: expected quality {solution.quality:.4f}, bound {solution.bound:.4f}"
    if solution.proven:
        return f"{found}, optimum of the learned scores proven in {solution.seconds:.1f} s"
    return f"{found}, not proven the optimum of the learned scores within {seconds:g} s"
