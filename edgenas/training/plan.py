"""How long a training takes, known before it begins, and the epochs that there is time for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgenas.runtimes import host
from edgenas.training.memory import SMALLEST, Shape, unchanged
from edgenas.training.settings import Settings, steps_of

# Images of the steps that are timed: as many as fit in memory wherever a batch does, if in parts. Of small images more
# are timed, too, as half of what a few of them take may be the step's own.
FEW, MORE, PIXELS = SMALLEST, 16, 16 * 160**2
STEPS = 3  # that are timed; the first one, which takes longest, is not
BUSY = 0.85  # of the cores' time: with less, others take a part of it, or a step has little for many threads
WORTH = 1.25  # times as fast, for fewer threads to be taken


@dataclass(frozen=True)
class Plan:
    """Epochs of a training, the seconds that they will take, and its threads on a CPU, where they were chosen."""

    epochs: int
    seconds: float
    threads: int | None = None


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


def choose_threads(step_seconds: Callable[[], float]) -> tuple[int | None, float]:
    """Set the threads of a training: all cores, or fewer where other programs take so much that these are faster.

    Results are equal for equal threads, and no others: fewer are taken only where they save a good part of the time.
    What the user says by `OMP_NUM_THREADS` stays.

    Args:
        step_seconds: times a step, by the threads that are set then.

    Returns:
        the threads, None where they are not to be chosen, and the seconds of a step.
    """
    full = host.usable_cores()
    if "OMP_NUM_THREADS" in os.environ or torch.cuda.is_available() or full == 1:
        return None, step_seconds()
    torch.set_num_threads(full)
    started, used = time.monotonic(), time.process_time()
    best = full, step_seconds()
    # Threads that wait for one that another program keeps from its core do not compute.
    if time.process_time() - used < BUSY * full * (time.monotonic() - started):
        threads = full
        while threads := threads // 2:
            torch.set_num_threads(threads)
            seconds = step_seconds()
            best = (threads, seconds) if WORTH * seconds < best[1] else best
    torch.set_num_threads(best[0])
    return best


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
