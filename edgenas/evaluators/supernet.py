"""Scores with shared weights: a supernet is trained once, each architecture is a slice of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from edgenas.data._base import Data
from edgenas.engine.sandwich import sandwich
from edgenas.engine.settings import Settings, batch_size_for
from edgenas.engine.train import Scores, evaluate, train
from edgenas.graph import Arch
from edgenas.nn.network import Network, reestimate_batch_norm
from edgenas.nn.supernet import Supernet
from edgenas.objective import Metrics
from edgenas.spaces._genes import sample

if TYPE_CHECKING:
    from edgenas.run import Run

SEARCH_IMAGES = 3000  # of validation, per trial: a standard error of half a point
NORM_BATCHES, BATCH_SIZE = 2, 128  # training images that batch norm is re-estimated on
STUDENTS = 2  # random architectures a step, beside the largest and the smallest


class SupernetEvaluator:
    """Slices the supernet, re-estimates batch norm on training images, scores on validation images."""

    weights_version = 0

    def __init__(self, supernet: Supernet, data: Data) -> None:
        """Batches are made once per resolution and kept."""
        self.supernet, self.data = supernet, data
        self._batches: dict[tuple[int, bool], tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]] = {}

    def __call__(self, arch: Arch) -> Metrics:
        """`accuracy` and `loss` on the first validation images, which are shuffled."""
        return self._score(arch, whole=False)

    def final(self, arch: Arch) -> Metrics:
        """The same on the whole validation split."""
        return self._score(arch, whole=True)

    def network(self, arch: Arch) -> Network:
        """The slice that `arch` is, batch norm re-estimated."""
        network = self.supernet.subnet(arch).to(memory_format=torch.channels_last)
        reestimate_batch_norm(network, self._split(network.graph.input.shape[1], False)[0])
        return network

    def _score(self, arch: Arch, whole: bool) -> Metrics:
        network = self.network(arch)
        scores: Scores = evaluate(network, self._split(network.graph.input.shape[1], whole)[1])
        return {"accuracy": scores.accuracy, "loss": scores.loss}

    def _split(self, size: int, whole: bool) -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]:
        if (size, whole) not in self._batches:
            limit = None if whole else -(-SEARCH_IMAGES // BATCH_SIZE)
            training = self.data.train.batches(BATCH_SIZE, size=size, epoch=0, limit=NORM_BATCHES)
            validation = self.data.validation.batches(BATCH_SIZE, size=size, limit=limit)
            self._batches = {(size, whole): (list(training), list(validation)), **self._batches}
        return self._batches[size, whole]


def training_archs(run: Run, step: int, teacher: Arch, smallest: Arch) -> Sequence[Arch]:
    """Teacher, smallest, and random architectures that the objective would score, as a function of (seed, step).

    Deviation from BigNAS: the teacher is not the largest architecture of the space but the largest one that is scored;
    what lies beyond is never used, and would take most of the time.
    """
    rng = np.random.default_rng((run.config.seed, 11, step))
    reach = 1.5
    drawn = [sample(run.space, rng) for _ in range(32)]
    within = [arch for arch, excess in zip(drawn, run.problem.excess(drawn), strict=True) if excess <= reach - 1]
    return [teacher, smallest, *(within or [smallest])[:STUDENTS]]


def build(run: Run) -> SupernetEvaluator:
    """Train the run's supernet, or go on with it, or load it."""
    generator = torch.Generator().manual_seed(run.config.seed)
    supernet = Supernet(run.space, generator).to(run.torch_device).to(memory_format=torch.channels_last)
    epochs = run.config.supernet_epochs or run.config.seeing(6_000, 2, len(run.data.train))
    settings = Settings(epochs, batch_size_for(len(run.data.train)))
    teacher, smallest = run.scored_extremes()
    gradients = sandwich(supernet, settings, lambda step: training_archs(run, step, teacher, smallest))
    train(
        supernet,
        gradients,
        run.data.train,
        settings,
        size=run.data.shape[1],
        seed=run.config.seed,
        around=run.surroundings("supernet", {"epochs": epochs}),
    )
    return SupernetEvaluator(supernet, run.data)
