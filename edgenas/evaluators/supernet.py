"""Scores with shared weights: a supernet is trained once, each architecture is a slice of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.graph.graph import Arch
from edgenas.nn.supernet import Supernet
from edgenas.spaces.sampling import sample
from edgenas.system import distributed
from edgenas.training.sandwich import sandwich
from edgenas.training.settings import Settings, batch_size_for
from edgenas.training.train import train

if TYPE_CHECKING:
    from edgenas.workflows.run import Run

STUDENTS = 2  # random architectures a step, beside the largest and the smallest


def training_archs(run: Run, step: int, teacher: Arch, smallest: Arch) -> Sequence[Arch]:
    """Teacher, smallest, and random architectures that the objective would score, as a function of (seed, step).

    Deviation from BigNAS: the teacher is not the largest architecture of the space but the largest one that is scored;
    what lies beyond is never used, and would take most of the time.
    """
    rng = np.random.default_rng((run.config.seed, 11, step))
    reach = 1.5
    drawn = [sample(run.space, rng) for _ in range(32)]
    within = [arch for arch, excess in zip(drawn, run.problem.excess(drawn), strict=True) if excess <= reach - 1]
    return distributed.broadcast([teacher, smallest, *(within or [smallest])[:STUDENTS]])


def build(run: Run) -> SupernetEvaluator:
    """Train the run's supernet, or go on with it, or load it."""
    generator = torch.Generator().manual_seed(run.config.seed)
    supernet = Supernet(run.space, generator).to(run.torch_device).to(memory_format=torch.channels_last)
    epochs = run.config.supernet_epochs or run.config.seeing(6_000, 2, len(run.data.train))
    settings = Settings(epochs, batch_size_for(len(run.data.train)), ghost_batch=run.config.ghost_batch)
    teacher, smallest = distributed.broadcast(run.scored_extremes())
    gradients = sandwich(supernet, settings, lambda step: training_archs(run, step, teacher, smallest))
    train(
        supernet,
        gradients,
        run.data.train,
        settings,
        size=run.data.shape[1],
        seed=run.config.seed,
        context=run.surroundings("supernet", {"epochs": epochs}),
    )
    return SupernetEvaluator(supernet, run.data)
