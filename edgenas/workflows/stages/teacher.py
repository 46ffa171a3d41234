"""The teacher: the whole trained network, fine-tuned on the run's photos before anything is cut out of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from edgenas.graph.graph import OPTION
from edgenas.nn.network import Network, fresh_network
from edgenas.nn.reconstruction import fitted_options
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.system.text import accuracy, ms
from edgenas.training.distillation import Teacher
from edgenas.training.taylor import channel_importance
from edgenas.workflows.context import Context
from edgenas.workflows.pretrained import teacher_space
from edgenas.workflows.stages.artefacts import IMPORTANCE, Importance
from edgenas.workflows.stages.finalists import fine_tuned
from edgenas.workflows.task import Priced, Task, price

# Training images that say which channels matter, in batches that are small; see `channel_importance`.
IMAGES, BATCH = 512, 16
FITTED = 256  # training images that what reads the channels of a cut is fitted on
SHARE = 0.3  # of the time that is left when it begins, where that is short
DIGITS = 6  # of an importance that are kept


def teach(priced: Priced, ctx: Context) -> Priced:
    """Fine-tune the whole network, and return the same search in a space that begins with its weights.

    Channels are sorted by what they matter on the run's photos. Where a larger network is named as the teacher, it is
    fine-tuned before, and all others learn its soft labels. A space without a trained network stays as it is.

    Raises:
        Interrupted: the run is to stop; it can be resumed.
    """
    task, space = priced.task, priced.space
    if not isinstance(space, PretrainedSpace):
        return priced
    whole = space.whole
    larger = _larger(task, ctx)
    name = "teacher" if larger is None else "whole"
    with ctx.stage(name, "fine-tune the whole network"):
        network = fresh_network(space, whole, task.config.seed, task.torch_device)
        found = fine_tuned(replace(task, teacher=larger), ctx, network, name, whole, share=SHARE)
        importance = ctx.folder.artefact(IMPORTANCE, Importance, partial(_importance, task, network))
    predicted_ms = ms(float(priced.costs.latency.many(space, [whole])[0]))
    right = accuracy(found.accuracy, found.images)
    ctx.reporter.log(f"the whole network, fine-tuned: {right} of the validation images, predicted {predicted_ms} ms")
    retrained = cuts_of(space, network, importance, task)
    return price(replace(task, space=retrained, teacher=larger or Teacher(network)), priced.table)


def cuts_of(space: PretrainedSpace, network: Network, importance: Importance, task: Task) -> PretrainedSpace:
    """Return the space whose networks are cut out of a trained one, what reads their channels being fitted to them.

    Args:
        space: of the network.
        network: whole and trained, with the channels in the order of `space`.
        importance: of its channels.
        task: with the images that the fit is on.
    """
    retrained = space.retrained(network.grouped(), importance.channels)
    whole = fresh_network(retrained, retrained.whole, task.config.seed, task.torch_device)
    side = whole.graph.input.shape[1]
    batches = task.data.train.batches(BATCH, size=side, epoch=0, seed=task.config.seed, limit=FITTED // BATCH)
    images = torch.cat([x for x, _ in batches])
    channels = {name: ratios.values() for name, ratios in space.readers.items()}
    found = fitted_options(whole, images, channels)
    return retrained.with_options(
        {
            f"{name}{OPTION}{ratio:g}.{parameter}": np.ascontiguousarray(tensor.cpu().numpy(), np.float32)
            for name, ratios in space.readers.items()
            for ratio, count in ratios.items()
            for parameter, tensor in found[name][count].items()
        }
    )


def _larger(task: Task, ctx: Context) -> Teacher | None:
    """The larger network that the configuration names as the teacher, fine-tuned."""
    space = teacher_space(task.config, task.data.shape, len(task.data.classes))
    if space is None:
        return None
    with ctx.stage("teacher", f"fine-tune the teacher, {space.network}"):
        network = fresh_network(space, space.whole, task.config.seed, task.torch_device)
        found = fine_tuned(replace(task, space=space), ctx, network, "teacher", space.whole, share=SHARE)
    ctx.reporter.log(f"{space.network}, fine-tuned: {accuracy(found.accuracy, found.images)} of the validation images")
    return Teacher(network)


def _importance(task: Task, network: Network) -> Importance:
    side = network.graph.input.shape[1]
    batches = task.data.train.batches(BATCH, size=side, epoch=0, seed=task.config.seed, limit=IMAGES // BATCH)
    found = channel_importance(network, batches)
    return Importance({group: tuple(float(f"{x:.{DIGITS}g}") for x in row) for group, row in found.items()})
