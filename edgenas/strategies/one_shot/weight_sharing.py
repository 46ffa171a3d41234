"""Strategies whose weights are trained by the search itself: another strategy inside, scored by shared weights.

Each of their files says only what proposes, which paths train the weights, and when.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch

from edgenas.data.base import Data
from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.exploration.feasible import random_feasible
from edgenas.exploration.strategy import Context, Priced, Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import free_choices
from edgenas.strategies.controllers.policy_gradient import Baseline, PolicyGradient
from edgenas.strategies.one_shot.path_samplers import PathSampler, PolicyPaths
from edgenas.strategies.one_shot.path_training import PathTraining, path_training
from edgenas.system import distributed
from edgenas.system.checkpoint import State
from edgenas.training.context import TrainingContext


class WeightSharing(Strategy):
    """Trains all weights before the first proposal; then `inner` searches on them."""

    reward_form = "hard"
    trains_weights = True
    evaluator: SupernetEvaluator

    def __init__(
        self, inner: Strategy, training: PathTraining, paths: PathSampler, data: Data, context: TrainingContext
    ) -> None:
        """Its `evaluator` scores by the weights of `training`.

        Args:
            inner: what proposes.
            training: of the weights.
            paths: which architectures each step of the training trains.
            data: whose validation images score architectures.
            context: where a part of the training is kept.
        """
        self.problem = inner.problem
        self.inner, self.training, self.paths, self.context = inner, training, paths, context
        self.evaluator = SupernetEvaluator(training.supernet, data)

    def ask(self, n: int = 1) -> list[Arch]:
        """Train what is due, then what `inner` proposes; [] too if nothing is within the budget."""
        return self.inner.ask(n) if self.train(self.training.steps) else []

    def train(self, until: int) -> bool:
        """Train up to this step, if that is ahead; False if nothing is within the budget.

        Raises:
            Interrupted, EdgeNASError, EnvironmentFault: as `PathTraining.advance`.
        """
        t = self.training
        if until <= t.step:
            return True
        # A generator of its own: the question draws nothing of what `inner` or the paths draw from.
        if random_feasible(self.problem, np.random.default_rng((t.seed, t.step))) is None:
            return False
        t.advance(until, partial(self.paths, self.problem), self.context)
        self.evaluator.weights_version += 1
        return True

    def tell(self, trials: Sequence[Trial]) -> None:
        """Tell `inner`."""
        self.inner.tell(trials)

    def narrow(self, space: SearchSpace) -> None:
        """Narrow `inner`, and the paths to come; weights stay as large as they are."""
        super().narrow(space)
        self.inner.narrow(space)

    def recommend(self, study: Study, k: int) -> list[Arch]:
        """Return what `inner` recommends."""
        return self.inner.recommend(study, k)

    def state_dict(self) -> State:
        """Return both states, and which weights the last scores were of."""
        return {
            "inner": self.inner.state_dict(),
            "training": self.training.state(),
            "weights_version": self.evaluator.weights_version,
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        self.inner.load_state_dict(state["inner"])
        self.training.load(state["training"])
        self.evaluator.weights_version = state["weights_version"]


class ControllerWithSharedWeights(WeightSharing):
    """A controller and weights in turn: before each round of the policy, weights train on its samples.

    Then the policy rehearses, with one sample for each step of the weights past the warm-up: rewards by one batch of
    validation images, as in ENAS and TuNAS. Trials, fewer and scored on many images, add to that. Rewards within a
    round are of the same weights. The last round's are the final ones.
    """

    baseline: ClassVar[Baseline]
    warm_up: ClassVar[float]  # share of all steps of the weights that come before the first trial

    inner: PolicyGradient

    def __init__(
        self, inner: PolicyGradient, training: PathTraining, data: Data, context: TrainingContext, *, trials: int
    ) -> None:
        """Its `evaluator` scores by the weights of `training`.

        Args:
            inner: the controller.
            training: of the weights.
            data: whose validation images score architectures.
            context: where a part of the training is kept.
            trials: how many the search is planned for; the steps of the weights are spread over them.
        """
        paths = PolicyPaths(inner.controller, round(self.warm_up * training.steps))
        super().__init__(inner, training, paths, data, context)
        self.trials = trials

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> ControllerWithSharedWeights:
        """Return a fresh controller whose rewards are of fresh weights, trained on its own samples."""
        training = path_training(priced, 1)
        inner = PolicyGradient(priced.problem, ctx.rng("reinforce"), baseline=cls.baseline)
        context = ctx.training("paths", {**priced.identity, "epochs": training.settings.epochs})
        return cls(inner, training, priced.data, context, trials=priced.config.trials)

    def ask(self, n: int = 1) -> list[Arch]:
        """Train weights between two rounds; then return what the policy proposes."""
        before = self.training.step
        if self.inner.learn() and not self.train(self._due()):
            return []
        if self.training.step > before:
            self.inner.forget()
            learned = self.training.step - max(before, round(self.warm_up * self.training.steps))
            self.inner.rehearse(self._on_a_batch, max(0, learned) // self.inner.samples)
        return self.inner.ask(n)

    @torch.no_grad()
    def _on_a_batch(self, archs: Sequence[Arch]) -> list[float]:
        """Return accuracies on one batch, another for every round, and the same in all processes: the first counts."""
        training, epoch = self.training, int(self.inner.rng.integers(2**31))

        def accuracies() -> list[float]:
            size = training.supernet.space.shape[1]
            batches = self.evaluator.data.validation.batches(training.batch_size, size=size, epoch=epoch, limit=1)
            x, y = next(batches)
            correct = [(training.logits(x, arch).argmax(1) == y).float().mean() for arch in archs]
            return torch.stack(correct).tolist() if correct else []

        return distributed.first(accuracies)

    def _due(self) -> int:
        """Return the step after which the next round comes; the last one where nothing is left to choose."""
        # The round that comes counts as done, so that the last round is scored on the final weights.
        done = (self.inner.evaluated + self.inner.samples) / self.trials
        if done >= 1 or not free_choices(self.problem.space):
            return self.training.steps
        return math.ceil(self.training.steps * (self.warm_up + (1 - self.warm_up) * done))
