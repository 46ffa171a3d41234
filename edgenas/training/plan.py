"""How long a training takes, known before it begins, and the epochs that there is time for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgenas.training.memory import SMALLEST, Shape, unchanged
from edgenas.training.settings import Settings, steps_of

# Images of the steps that are timed: as many as fit in memory wherever a batch does, if in parts. Of small images more
# are timed, too, as half of what a few of them take may be the step's own.
FEW, MORE, PIXELS = SMALLEST, 16, 16 * 160**2
STEPS = 3  # that are timed; the first one, which takes longest, is not


@dataclass(frozen=True)
class Plan:
    """Epochs of a training, and the seconds that they will take."""

    epochs: int
    seconds: float


def plan(settings: Settings, images: int, seconds_per_step: float, available_s: float) -> Plan:
    """Return the epochs of the settings, or as many as there is time for, at least one.

    Args:
        settings: of the training.
        images: of the training set.
        seconds_per_step: what a step takes.
        available_s: what all of them may take.
    """
    per_epoch = steps_of(settings, images) // settings.epochs * seconds_per_step
    epochs = settings.epochs if settings.epochs * per_epoch <= available_s else max(1, int(available_s / per_epoch))
    return Plan(epochs, epochs * per_epoch)


def step_seconds(
    module: nn.Module, gradients: Callable[[Tensor, Tensor, int], object], shape: Shape, batch_size: int
) -> float:
    """Return the seconds of a step on a batch, timed on fewer images; nothing of `module` changes.

    Args:
        module: what is trained.
        gradients: adds the gradients of one batch to its parameters.
        shape: of one image (C, H, W).
        batch_size: images of a batch.
    """
    few = min(FEW, batch_size)
    more = max(few, min(MORE, batch_size, PIXELS // (shape[1] * shape[2])))
    was_training = module.training
    module.train()
    with unchanged(module, threads=torch.get_num_threads()):
        seconds, of_few = (_seconds(module, gradients, shape, count) for count in (more, few))
    module.train(was_training)
    each = seconds / few if more == few else max(0.0, seconds - of_few) / (more - few)
    return seconds + (batch_size - more) * each


def _seconds(module: nn.Module, gradients: Callable[[Tensor, Tensor, int], object], shape: Shape, images: int) -> float:
    """What a step on so many images takes, the first one left out."""
    device = next(module.parameters()).device
    x = torch.zeros((images, *shape), device=device).contiguous(memory_format=torch.channels_last)
    y = torch.zeros(images, dtype=torch.int64, device=device)
    gradients(x, y, 0)
    started = _now(device)
    for step in range(1, 1 + STEPS):
        gradients(x.fill_(step), y, step)  # other images each time: what is remembered of the same ones takes no time
    return (_now(device) - started) / STEPS


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()
