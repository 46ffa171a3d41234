"""Networks of a search that are trained by themselves, for comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.exploration.evaluator import Evaluator
from edgenas.graph.graph import Arch
from edgenas.training.context import TrainingContext
from edgenas.training.distillation import distilled
from edgenas.training.settings import Settings, batch_size_for, epochs_for
from edgenas.training.train import evaluate, train
from edgenas.workflows.stages.finalists import final_settings
from edgenas.workflows.task import Priced


def alone_settings(priced: Priced, epochs: int | None) -> Settings:
    """Return how a network is trained: shortly; cuts of a teacher as finalists are.

    Args:
        priced: of the search.
        epochs: of the training; None decides by the number of images.
    """
    images = len(priced.data.train)
    if priced.teacher is not None:
        settings = final_settings(priced.task)
        return replace(settings, epochs=epochs or settings.epochs)
    return Settings(epochs or priced.config.scratch_epochs or epochs_for(20_000, 1, images), batch_size_for(images))


def trained_alone(priced: Priced, evaluator: Evaluator, settings: Settings) -> Callable[[Arch], float]:
    """Return what gives the accuracy of an architecture on the validation split after a training of its own.

    Args:
        priced: of the search.
        evaluator: gives the weights that cuts of a teacher begin with.
        settings: of the training.
    """
    config, data, teacher = priced.config, priced.data, priced.teacher
    if teacher is None:
        scratch = ScratchEvaluator(priced.space, data, settings, priced.torch_device, config.seed)
        return lambda arch: scratch(arch)["accuracy"]
    size = teacher.side

    def cut(arch: Arch) -> float:
        network = evaluator.network(arch)
        gradients = distilled(network, teacher)
        train(network, gradients, data.train, settings, size=size, seed=config.seed, context=TrainingContext())
        return evaluate(network, data.validation.batches(256, size=network.graph.input.shape[1])).accuracy

    return cut
