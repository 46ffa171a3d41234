"""The training of finalists, from the evaluator's weights to the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from edgenas.exploration.evaluator import Evaluator
from edgenas.graph.graph import Arch
from edgenas.nn.auxiliary import TrainedNetwork
from edgenas.nn.network import Network, reestimate_batch_norm
from edgenas.pretrained.converter.space import whole_at
from edgenas.system import distributed
from edgenas.training.distillation import distilled
from edgenas.training.head import fit_head
from edgenas.training.plan import step_seconds
from edgenas.training.settings import RECIPES, Settings, batch_size_for, epochs_for, fine_tuning, steps_of
from edgenas.training.train import Gradients, Scores, evaluate, regularised, supervised, train
from edgenas.workflows.context import Context
from edgenas.workflows.task import Task

# For weights that stand for ones that were trained to the end. Where they have nearly the accuracy of those, one pass
# at three times the rate loses two points; where they have `FAR` less, one pass at that rate leaves three to gain.
REFINING_RATE, FAR, FAR_PASSES = 1.5e-3, 0.1, 3
# Epochs of a cut, in those of a whole network: it begins further from its end. Cuts that a search has found gain by
# them, of 713 test photos .8 points at half of the latency; one of uniform width does not.
CUT_TIMES = 2
NORM_BATCHES, NORM_BATCH = 8, 64  # training images that the statistics of a cut are estimated on


@dataclass(frozen=True)
class Finalist:
    """A trained network, and its scores on the validation split."""

    arch: Arch
    network: Network
    scores: Scores
    code: str  # as the selection has it


def final_settings(task: Task) -> Settings:
    """Return those of the run's recipe; the quick one is long enough for shared weights to become a network's own."""
    return _settings(task, is_cut=task.teacher is not None)


def epochs_in_all(task: Task) -> int:
    """Return the epochs of a cut and of its teacher together, which what is compared with a cut sees."""
    return _settings(task, is_cut=False).epochs + _settings(task, is_cut=True).epochs


def _settings(task: Task, *, is_cut: bool) -> Settings:
    config, images = task.config, len(task.data.train)
    plain = Settings(epochs_for(8_000, 6, images), batch_size_for(images))
    quick = fine_tuning(images) if task.space.trained else plain
    if is_cut and task.space.trained:
        quick = replace(quick, epochs=CUT_TIMES * quick.epochs)
    recipe = RECIPES[config.recipe] or quick
    return replace(recipe, epochs=config.final_epochs or recipe.epochs, ghost_batch=config.ghost_batch)


def train_finalist(
    task: Task, evaluator: Evaluator, ctx: Context, arch: Arch, number: int, share: float = 1.0
) -> Finalist:
    """Train one finalist from the evaluator's weights on the training split, and score it on validation.

    One that was trained to the end in the run whose weights are used is taken as it is, unless epochs are asked for.

    Args:
        number: of the finalist, in the name of its checkpoint.
        share: of the time that is left, for its training.
    """
    trained = task.inherited.finalists if task.inherited else {}
    network = None if task.config.final_epochs else trained.get(arch)
    if network is None:
        network = evaluator.network(arch)
        scores = fine_tuned(task, ctx, network, f"finalist-{number}", arch, _refining(task, network), share)
        return Finalist(arch, network, scores, task.space.code(arch))
    return Finalist(arch, network, _scored(task, network), task.space.code(arch))


def fine_tuned(
    task: Task,
    ctx: Context,
    network: Network,
    name: str,
    arch: Arch,
    settings: Settings | None = None,
    share: float = 1.0,
) -> Scores:
    """Train a network in place on the training split, by the soft labels of the task's teacher if there is one.

    Args:
        task: with the images, and perhaps a teacher.
        ctx: keeps the checkpoint.
        network: with the weights that the training begins with.
        name: of the checkpoint.
        arch: of the network.
        settings: of the training; those of the run's recipe by default.
        share: of the time that is left.

    Returns:
        its scores on the validation split.
    """
    settings = settings or final_settings(task)
    size = network.graph.input.shape[1] if task.teacher is None else task.teacher.side
    module, gradients = _trained(task, network, settings)
    shape = (task.data.shape[0], size, size)
    seconds = partial(step_seconds, module, gradients, shape, settings.batch_size)
    settings = ctx.planned(name, settings, len(task.data.train), seconds, share)
    # Again, as drop-path rises over all the steps.
    module, gradients = _trained(task, network, settings)
    # Epochs are part of it: a checkpoint on another schedule is at another rate.
    identity = {**task.identity, "arch": task.space.code(arch), "epochs": settings.epochs}
    context = ctx.training(name, identity)
    if not (context.checkpoint and context.checkpoint.exists()):
        if settings.frozen_statistics and task.teacher is None and whole_at(task.space, arch) not in (None, arch):
            # What reads a part of the channels has statistics of all of them; cuts of a teacher come with their own.
            batches = task.data.train.batches(NORM_BATCH, size=size, epoch=0, limit=NORM_BATCHES)
            reestimate_batch_norm(network, batches)
        if network.needs_head:
            fit_head(network, task.data.train, seed=task.config.seed, progress=ctx.progress)
    train(module, gradients, task.data.train, settings, size=size, seed=task.config.seed, context=context)
    return _scored(task, network)


def _refining(task: Task, network: Network) -> Settings:
    """`final_settings`, of which less where there is no recipe and the weights come from ones trained to the end."""
    settings, trained = final_settings(task), task.inherited.finalists if task.inherited else {}
    # Cuts of a teacher are no weights of their own yet, wherever they are made.
    if not trained or task.teacher is not None or RECIPES[task.config.recipe]:
        return settings
    best = next(iter(trained.values()))  # the delivered one comes first
    far = _scored(task, best).accuracy - _scored(task, network).accuracy > FAR
    passes = FAR_PASSES if far else 1
    epochs = task.config.final_epochs or epochs_for(passes * 8_000, passes, len(task.data.train))
    return replace(settings, epochs=epochs, learning_rate=settings.learning_rate if far else REFINING_RATE)


def _scored(task: Task, network: Network) -> Scores:
    """Scores of a network on the validation split; it is left in evaluation mode."""
    batches = task.data.validation.batches(256, size=network.graph.input.shape[1])
    scores = distributed.first(lambda: evaluate(network, batches))
    network.eval()  # only the first process has scored it, which leaves it so
    return scores


def _trained(task: Task, network: Network, settings: Settings) -> tuple[nn.Module, Gradients]:
    """What is trained: the network, or the network with what only its training has."""
    if task.teacher is not None:
        return network, distilled(network, task.teacher)
    if not (settings.auxiliary or settings.drop_path):
        return network, supervised(network, settings)
    reads, seed = task.space.auxiliary if settings.auxiliary else None, task.config.seed
    module = TrainedNetwork(network, reads, torch.Generator().manual_seed(seed)).to(task.torch_device)
    return module, regularised(module, settings, steps=steps_of(settings, len(task.data.train)), seed=seed)
