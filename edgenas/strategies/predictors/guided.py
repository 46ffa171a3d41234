"""Guided search: a model of quality, fitted on the trials so far, chooses among many feasible architectures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from edgenas.exploration.feasible import Archive, feasible_samples, initial_individual, repaired_samples
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Context, Priced, Strategy
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import crossover, mutate, neighbours, within
from edgenas.strategies.predictors.interface import QualityPredictor, rank_correlation
from edgenas.strategies.predictors.pairs import Pairs

if TYPE_CHECKING:
    from edgenas.system.checkpoint import State

SAMPLES, CHILDREN = 1024, 256  # candidates per proposal: uniform ones, and children of the best trials
PARENTS, CLIMBERS, STEPS = 16, 8, 3  # best trials with children; candidates whose neighbours join, and how often
FILL_SHARE = 0.5  # of the initial individuals fill the budget: the best networks are rarely small
ATTEMPTS = 8  # at an initial individual that was not proposed before
EXPLORATION = 0.5  # mean number of standard deviations that a candidate is given
REFIT, REFIT_SLOW = 0.04, 0.15  # more trials than a model has seen, as a share, before it learns again
SCREENED = 64  # candidates that a model other than the first ranks: the best by the first, which is fast
FOLDS, LEAST_COMPARED = 4, 64  # of cross-validation; trials below which there is nothing to compare models on

ModelMaker = Callable[[SearchSpace], QualityPredictor]


class GuidedSearch(Strategy):
    """Predictor-guided search: fit, score many candidates without evaluating any, evaluate the best, repeat.

    As NPENAS and BANANAS do (White et al., 2021, arXiv:1910.11858; Wei et al., 2020, arXiv:2003.12857). Differences:
    candidates are feasible before they are scored; the bound that chooses has a random factor (randomised upper
    confidence bound, Berk et al., 2020, arXiv:2006.04296), so that a batch explores; candidates climb the predictions.
    """

    reward_form = "hard"

    def __init__(
        self, problem: Problem, rng: Generator, *, models: Sequence[ModelMaker] = (Pairs,), initial: int = 16
    ) -> None:
        """Propose `initial` random feasible architectures at first, of which half fill the budget.

        The first of `models` ranks all candidates. Where another one predicts the trials better, it ranks the best of
        them again: compared by cross-validation whenever the number of trials has doubled.
        """
        self.problem = problem
        self.rng = rng
        self.initial = initial
        self.makers = tuple(models)
        self.proposed = Archive(problem.space)
        self.trials: list[tuple[Arch, float]] = []
        self.weights_version = 0
        self.seed = int(rng.integers(2**62))
        self.models: dict[int, QualityPredictor] = {}
        self.fitted = [0] * len(models)  # trials that each has learned from: with the seed, all that it depends on
        self.compared = LEAST_COMPARED // 2  # trials at the last comparison; twice as many make the next one due
        self.chosen = 0

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> GuidedSearch:
        """Return it with both models, and fewer initial individuals where few trials are planned."""
        initial = min(16, max(4, priced.config.trials // 5))
        return cls(priced.problem, ctx.rng("predictor"), models=(Pairs, graphs), initial=initial)

    def ask(self, n: int = 1) -> list[Arch]:
        """Return at most `n` new feasible architectures; [] when nothing new turns up."""
        archs: list[Arch] = []
        for _ in range(n):
            new = self._initial() if len(self.trials) + len(archs) < self.initial else self._predicted()
            if not new:
                break
            archs += new
        return archs

    def tell(self, trials: Sequence[Trial]) -> None:
        """The trials join what the model learns from, unless they are of older weights or failed."""
        for trial in trials:
            if trial.weights_version > self.weights_version:
                self.weights_version = trial.weights_version
                self.trials.clear()
                self.models.clear()
                self.fitted = [0] * len(self.makers)
            if self.problem.objective.quality in trial.metrics and trial.error is None:
                self.trials.append((trial.arch, trial.reward))

    def _initial(self) -> list[Arch]:
        """Return one new random architecture, or none."""
        return initial_individual(self.problem, self.proposed, self.rng, FILL_SHARE, ATTEMPTS)

    def _predicted(self) -> list[Arch]:
        """Return the new candidate of the highest bound, or none."""
        screen = self._learned(0)
        factor = EXPLORATION * self.rng.standard_exponential()
        ranked = self._ranked(screen, factor, self._candidates())
        for _ in range(STEPS):
            nearby = [arch for top in ranked[:CLIMBERS] for arch in neighbours(self.problem.space, top)]
            ranked = self._ranked(screen, factor, [*ranked, *self._feasible(nearby)])
        if self._choose():
            new = self.proposed.new(ranked, SCREENED)
            ranked = self._ranked(self._learned(self.chosen), factor, new)
        return self.proposed.add(ranked, 1) or self._initial()

    def _ranked(self, model: QualityPredictor, factor: float, archs: Sequence[Arch]) -> list[Arch]:
        """Sort by the prediction plus `factor` of its standard deviations, the highest first; drop repeats."""
        unique = list(dict.fromkeys(archs))
        if not unique:
            return []
        mean, spread = model.predict(unique)
        return [unique[i] for i in np.argsort(-(mean + factor * spread), kind="stable")]

    def _candidates(self) -> list[Arch]:
        """Return feasible architectures: random ones, and children of the best trials."""
        uniform = feasible_samples(self.problem, self.rng, SAMPLES) or list(repaired_samples(self.problem, self.rng))
        best = sorted(self.trials, key=lambda trial: -trial[1])[:PARENTS]
        return [*uniform, *self._feasible([self._child(best) for _ in range(CHILDREN if best else 0)])]

    def _child(self, parents: Sequence[tuple[Arch, float]]) -> Arch:
        i, j = self.rng.integers(len(parents), size=2)
        child = crossover(parents[i][0], parents[j][0], self.rng)
        return mutate(self.problem.space, within(self.problem.space, child, self.rng), self.rng)

    def _feasible(self, archs: Sequence[Arch]) -> list[Arch]:
        return [arch for arch, fits in zip(archs, self.problem.feasible(archs), strict=True) if fits]

    def _choose(self) -> int:
        """Return the index of the model that predicts the trials best, by the last comparison, which may be due now."""
        if len(self.makers) > 1 and len(self.trials) >= 2 * self.compared:
            self.compared, self.chosen = len(self.trials), self._best_model()
        return self.chosen

    def _learned(self, maker: int) -> QualityPredictor:
        """Return a model that was fitted on all trials but perhaps the last few."""
        news = len(self.trials) - self.fitted[maker]
        if news >= max(1.0, (REFIT_SLOW if maker else REFIT) * len(self.trials)):
            self.models.pop(maker, None)
            self.fitted[maker] = len(self.trials)
        if maker not in self.models:
            self.models[maker] = self._fit(maker, self.trials[: self.fitted[maker]])
        return self.models[maker]

    def _fit(self, maker: int, trials: Sequence[tuple[Arch, float]]) -> QualityPredictor:
        model = self.makers[maker](self.problem.space)
        model.fit(
            [arch for arch, _ in trials],
            [reward for _, reward in trials],
            np.random.default_rng([self.seed, len(trials)]),
        )
        return model

    def _best_model(self) -> int:
        """Return the index of the model with the highest mean rank correlation on folds that it has not seen."""
        # Seeded by the number of trials: a resumed search compares on the same folds.
        folds = np.random.default_rng([self.seed, len(self.trials)]).permutation(len(self.trials)) % FOLDS
        scores = []
        for maker in range(len(self.makers)):
            correlations = []
            for fold in range(FOLDS):
                seen = [trial for trial, f in zip(self.trials, folds, strict=True) if f != fold]
                held = [trial for trial, f in zip(self.trials, folds, strict=True) if f == fold]
                mean, _ = self._fit(maker, seen).predict([arch for arch, _ in held])
                correlations.append(rank_correlation(mean, [reward for _, reward in held]))
            scores.append(float(np.mean(correlations)))
        return int(np.argmax(scores))

    def state_dict(self) -> State:
        """Return generator, trials, what was proposed, and which model has learned from how many trials."""
        return {
            "rng": self.rng.bit_generator.state,
            "proposed": self.proposed.state(),
            "trials": list(self.trials),
            "weights_version": self.weights_version,
            "seed": self.seed,
            "fitted": list(self.fitted),
            "compared": self.compared,
            "chosen": self.chosen,
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from there; the model learns again what it had learned."""
        self.rng.bit_generator.state = state["rng"]
        self.proposed.load(state["proposed"])
        self.trials = [(tuple(arch), reward) for arch, reward in state["trials"]]
        self.weights_version, self.seed = state["weights_version"], state["seed"]
        self.fitted, self.compared, self.chosen = list(state["fitted"]), state["compared"], state["chosen"]
        self.models.clear()


def graphs(space: SearchSpace) -> QualityPredictor:
    """Return the graph network, with which torch starts."""
    from edgenas.strategies.predictors.graph_network import Graphs

    return Graphs(space)
