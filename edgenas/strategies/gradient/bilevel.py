"""What all gradient strategies share: rounds of bilevel training, each with the architecture it has come to.

Each of their files names only its `Relaxation`: how alphas weight branches.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.random import Generator

from edgenas.data.base import Data
from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.exploration.feasible import Archive, feasible_samples, initial_individual, random_feasible, repair
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Context, Priced, Strategy
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.strategies.gradient.alphas import entropy
from edgenas.strategies.gradient.bilevel_training import BilevelTraining, largest_first, settings_for
from edgenas.strategies.gradient.collapse import CollapseDetector, collapsed, full_cells
from edgenas.strategies.gradient.notes import notes
from edgenas.strategies.gradient.relaxations import Relaxation
from edgenas.system.checkpoint import State
from edgenas.training.context import TrainingContext

# Options of every gradient strategy, the default first. Where steps are so few that choices without weights look best,
# `largest` lets the weights of the largest network learn for a third of them before alphas do.
OPTIONS = {"guards": ("on", "off"), "warm-up": ("mixed", "largest")}
SAMPLES = 256  # architectures drawn by the final probabilities, of which the likeliest are evaluated
ANNEALED = 0.5  # floor of the probabilities by which they are drawn: near the alphas' own choice, and not only it
NOTED_BATCH, NOTED_IMAGES = 128, 24 * 128  # validation images that the supernet's accuracy is noted on
ROUNDS = 20  # parts of the training at most, each with a trial


class Bilevel(Strategy):
    """A round of training each `ask`, and what the alphas say then; in the end, likely samples on the final weights.

    The samples are there because alphas judge choices one by one, and in sums; the shared weights, at last nearly those
    of single paths, see the likely ones together.
    """

    reward_form = "hard"
    options = OPTIONS
    trains_weights = True
    evaluator: SupernetEvaluator

    def __init__(
        self,
        problem: Problem,
        training: BilevelTraining,
        data: Data,
        trials: int,
        *,
        guarded: bool,
        context: TrainingContext,
    ) -> None:
        """Its `evaluator` scores by the weights of `training`.

        Args:
            problem: with one combination of shape choices, the same as that of `training`.
            training: of weights and alphas.
            data: whose validation images score architectures.
            trials: how many the search is planned for.
            guarded: whether collapse into skip connections is detected and undone.
            context: where a part of the training is kept.
        """
        self.problem, self.training, self.context = problem, training, context
        self.evaluator = SupernetEvaluator(training.supernet, data)
        # Half of the trials are left for likely samples on the final weights.
        self.rounds = max(1, min(trials // 2, ROUNDS, training.steps))
        self.collapse = CollapseDetector(training) if guarded else None
        self.proposed = Archive(problem.space)  # on the final weights
        self.entropies: list[float] = []  # of the alphas, after each round

    @classmethod
    @abstractmethod
    def relaxation(cls, options: Mapping[str, str]) -> Relaxation:
        """Return how alphas weight branches, under these options."""

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> Bilevel:
        """Return the strategy with fresh weights, for the size that holds the largest feasible networks."""
        config, images, relaxation = priced.config, priced.data.train, cls.relaxation(options)
        settings = settings_for(images, relaxation.images, config.search_epochs, config.ghost_batch)
        if options["warm-up"] == "largest":
            settings = largest_first(settings)
        guarded = options["guards"] == "on"
        problem = one_size(priced.problem, ctx.rng("size"))
        training = BilevelTraining(
            problem,
            images,
            relaxation,
            settings if guarded else replace(settings, skip=0.0),
            ctx.rng("alphas"),
            seed=config.seed,
            device=priced.torch_device,
        )
        context = ctx.training("bilevel", {**priced.identity, "epochs": settings.weights.epochs})
        return cls(problem, training, priced.data, config.trials, guarded=guarded, context=context)

    def ask(self, n: int = 1) -> list[Arch]:
        """Return what the alphas have come to, after training on; once all steps are done, at most `n` new likely ones.

        [] if nothing is within the budget. Where nothing is left to choose, all steps are one round.
        """
        t = self.training
        # A copy of the generator: whether anything is feasible must not change what is drawn later.
        if random_feasible(self.problem, copy.deepcopy(t.rng)) is None:
            return []
        if t.step < t.steps:
            self._advance()
            best = self._best()
            # Before the final weights the same architecture may come again: it is scored on others.
            return self.proposed.add(best, 1) if t.step >= t.steps else best
        return self.proposed.add(self._likely(t.rng), n) or initial_individual(self.problem, self.proposed, t.rng, 0.0)

    def _advance(self) -> None:
        t = self.training
        done = t.step * self.rounds // t.steps
        # The end of the next round, rounded up.
        t.advance(-(-(done + 1) * t.steps // self.rounds) if t.alphas.free else t.steps, self.context)
        if self.collapse is not None:
            self.collapse.check()
        self.entropies.append(entropy(t.probabilities()))
        self.evaluator.weights_version += 1

    def tell(self, trials: Sequence[object]) -> None:
        """Learn nothing: what is learned is learned from images."""

    def narrow(self, space: SearchSpace) -> None:
        """Give a probability to fewer options from now on; the size stays what it was."""
        mine = self.training.alphas.space
        sizes = {mine.choices[i].name: mine.allowed[i] for i in mine.static_indices}
        super().narrow(space.restrict(sizes))
        self.training.alphas.narrow(self.problem.space)

    def recommend(self, study: Study, k: int) -> list[Arch]:
        """Return what the final alphas say, then the best trials."""
        best = self._best()
        archs = [*best, *(trial.arch for trial in study.best(k))]
        own = best or archs[:1]
        self.notes = [*self._notes(own), *(self.collapse.notes if self.collapse else [])]
        self.notes += [line for arch in own for line in collapsed(self.problem.space, arch)]
        return Archive(self.problem.space).add(archs, k)

    def _notes(self, own: Sequence[Arch]) -> list[str]:
        size = self.training.supergraph.input.shape[1]
        validation = self.evaluator.data.validation
        if not own:
            return []
        at_once = self.training.fit(self.context) or NOTED_BATCH
        batches = validation.batches(at_once, size=size, limit=NOTED_IMAGES // at_once)
        return notes(self.training, self.problem, own[0], self.entropies, batches)

    def state_dict(self) -> State:
        """Return the states of training and collapse detection, and which weights the last scores were of."""
        return {
            "training": self.training.state(),
            "guard": self.collapse and self.collapse.state(),
            "proposed": self.proposed.state(),
            "entropies": list(self.entropies),
            "weights_version": self.evaluator.weights_version,
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.training.load(state["training"])
        if self.collapse is not None:
            self.collapse.load(state["guard"])
        self.proposed.load(state["proposed"])
        self.entropies = list(state["entropies"])
        self.evaluator.weights_version = state["weights_version"]

    def _best(self) -> list[Arch]:
        """Return the alphas' own architecture, repaired, or else the first of `_likely`; the generator stays."""
        rng = self.training.rng
        own = repair(self.problem, self.training.alphas.decode(), copy.deepcopy(rng))
        return [own] if own is not None else self._likely(copy.deepcopy(rng))[:1]

    def _likely(self, rng: Generator) -> list[Arch]:
        """Return feasible architectures: the alphas' own, repaired, then samples by likelihood."""
        alphas = self.training.alphas
        own = repair(self.problem, alphas.decode(), rng)
        with torch.no_grad():
            samples = alphas.sample(alphas.probabilities(ANNEALED), SAMPLES, rng)
        feasible = [arch for arch, fits in zip(samples, self.problem.feasible(samples), strict=True) if fits]
        if self.collapse is not None:
            feasible = [arch for arch in feasible if not full_cells(alphas.space, arch)] or feasible
        likelihood = dict(zip(feasible, alphas.log_likelihoods(feasible), strict=True))
        likely = sorted(likelihood, key=lambda arch: (-likelihood[arch], arch))
        likely = likely if own is None else [own, *likely]
        anything = None if likely else random_feasible(self.problem, rng)
        return likely if anything is None else [anything]


def one_size(problem: Problem, rng: Generator, draws: int = 2000) -> Problem:
    """Return `problem` in the shape choices that hold the largest feasible networks: gradients need shapes that stay.

    Sizes are compared by the 80 % quantile of MACs, as where a search is narrowed.
    """
    space = problem.space
    if not space.static_indices:
        return problem
    samples = feasible_samples(problem, rng, draws)
    macs = np.array([metrics["macs"] for metrics in problem.preview(samples, ["macs"])])
    best, chosen = -1.0, next(space.all_statics())
    for statics, members in space.by_statics(space.rows(samples)).items():
        score = float(np.quantile(macs[members], 0.8))
        if score > best:
            best, chosen = score, statics
    allowed = {space.choices[i].name: [o] for i, o in zip(space.static_indices, chosen, strict=True)}
    return replace(problem, space=space.restrict(allowed))
