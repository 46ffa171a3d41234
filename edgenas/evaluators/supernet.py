"""Scores with shared weights: a supernet is trained once, each architecture is a slice of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.exploration.feasible import scored_bounds
from edgenas.exploration.objective import SCORED_UP_TO
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Context, Priced
from edgenas.graph.graph import Arch
from edgenas.nn.supernet import Supernet
from edgenas.spaces.sampling import sample
from edgenas.system import distributed
from edgenas.training.plan import step_seconds
from edgenas.training.sandwich import sandwich
from edgenas.training.settings import Settings, batch_size_for, epochs_for, gentle
from edgenas.training.train import train

STUDENTS = 2  # random architectures a step, beside the largest and the cheapest
DRAWN = 32  # samples a step of which the first that are scored are the students
SHARE = 0.4  # of the time that is left when it begins, where that is short
STREAM = 11  # second word of the seed of each step's random numbers, after the run's: no other training has it


def training_archs(problem: Problem, seed: int, step: int, teacher: Arch, cheapest: Arch) -> Sequence[Arch]:
    """Return teacher, cheapest, and random architectures that some reward form scores, by (seed, step) alone.

    Deviation from BigNAS: the teacher is not the largest architecture of the space but the largest one that is scored;
    what lies beyond is never used, and would take most of the time.

    Args:
        problem: whose budgets say what is scored.
        seed: of the run.
        step: of the training.
        teacher: the largest architecture that is scored.
        cheapest: that of least cost.
    """
    rng = np.random.default_rng((seed, STREAM, step))
    # As a violation, which counts from the budget on. Every reward form can use these weights, so the widest counts.
    most = max(SCORED_UP_TO.values()) - 1
    drawn = [sample(problem.space, rng) for _ in range(DRAWN)]
    within = [arch for arch, violation in zip(drawn, problem.violation(drawn), strict=True) if violation <= most]
    # The gradients of all processes are added up: they must be of the same architectures. A tight budget may leave none
    # of the samples.
    return distributed.broadcast([teacher, cheapest, *(within or [cheapest])[:STUDENTS]])


def build(priced: Priced, ctx: Context) -> SupernetEvaluator:
    """Train the run's supernet, or go on with it, or load it."""
    problem, data, config = priced.problem, priced.data, priced.config
    generator = torch.Generator().manual_seed(config.seed)
    supernet = Supernet(problem.space, generator).to(priced.torch_device).to(memory_format=torch.channels_last)
    default = 0 if priced.teacher is not None else epochs_for(6_000, 2, len(data.train))
    epochs = default if config.supernet_epochs is None else config.supernet_epochs
    settings = Settings(epochs, batch_size_for(len(data.train)), ghost_batch=config.ghost_batch)
    if problem.space.trained:
        settings = gentle(settings)
    teacher, cheapest = distributed.broadcast(scored_bounds(problem, ctx.rng("teacher")))
    archs = partial(training_archs, problem, config.seed, teacher=teacher, cheapest=cheapest)
    gradients = sandwich(supernet, settings, archs, priced.teacher)
    shape = data.shape
    seconds = partial(step_seconds, supernet, gradients, shape, settings.batch_size)
    settings = ctx.planned("supernet", settings, len(data.train), seconds, SHARE)
    if settings.epochs:
        supernet.forget_statistics()
    train(
        supernet,
        gradients,
        data.train,
        settings,
        size=shape[1],
        seed=config.seed,
        context=ctx.training("supernet", {**priced.identity, "epochs": settings.epochs}),
    )
    return SupernetEvaluator(supernet, data, teacher=priced.teacher)
