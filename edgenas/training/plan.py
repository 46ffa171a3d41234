"""How long a training takes, known before it begins, and the epochs that there is time for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgenas.training.memory import SMALLEST, Shape, unchanged
from edgenas.training.settings import Settings, steps_of

# Images of the steps that are timed: as many as fit in memory wherever a batch does, if in parts. A batch takes as many
# times longer; and the first step, which is not timed, longest.
PROBED, STEPS = SMALLEST, 3


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
    device = next(module.parameters()).device
    count = min(PROBED, batch_size)
    x = torch.zeros((count, *shape), device=device).contiguous(memory_format=torch.channels_last)
    y = torch.zeros(count, dtype=torch.int64, device=device)
    was_training = module.training
    module.train()
    with unchanged(module, threads=torch.get_num_threads()):
        for step in range(1 + STEPS):
            if step == 1:
                started = _now(device)
            gradients(x, y, step)
        seconds = (_now(device) - started) / STEPS
    module.train(was_training)
    return seconds * batch_size / count


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()
