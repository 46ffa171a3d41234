"""The sandwich rule with in-place distillation (BigNAS, arXiv:2003.11142, sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch.nn.functional as F
from torch import Tensor

from edgenas.graph.graph import Arch
from edgenas.nn.supernet import Supernet
from edgenas.training.distillation import Teacher, resized
from edgenas.training.settings import Settings
from edgenas.training.train import Gradients


def sandwich(
    supernet: Supernet, settings: Settings, archs_of: Callable[[int], Sequence[Arch]], teacher: Teacher | None = None
) -> Gradients:
    """Return a function that adds the gradients of several architectures on one batch.

    The teacher learns from the labels, the others from the teacher's soft predictions. Each runs at its own resolution.

    Args:
        supernet: whose weights are trained.
        settings: of the training; its label smoothing is the teacher's.
        archs_of: gives the architectures of a step, the teacher first.
        teacher: a trained network, whose soft labels all of them learn from, the first one, too. It does not change:
            a teacher that learns while it teaches would move away from what it was trained to.
    """
    # All ghost batches of a step train the same architectures. Drawing them may consume random numbers: once a step.
    archs_of_step = lru_cache(maxsize=1)(archs_of)

    def gradients(x: Tensor, y: Tensor, step: int) -> Tensor:
        largest, *students = archs_of_step(step)
        logits = at_own_size(supernet, x, largest)
        if teacher is None:
            loss = F.cross_entropy(logits, y, label_smoothing=settings.label_smoothing)
            # The teacher's logits are detached: it is not to come closer to what its students can do.
            target = logits.detach().float().softmax(1)
        else:
            target = teacher.labels(x)
            loss = F.cross_entropy(logits, target)
        loss.backward()  # type: ignore[no-untyped-call]
        for arch in students:
            F.cross_entropy(at_own_size(supernet, x, arch), target).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return gradients


def at_own_size(supernet: Supernet, x: Tensor, arch: Arch) -> Tensor:
    """Return the logits of one architecture for full-size images (N, C, H, H), which it sees at its resolution."""
    logits: Tensor = supernet(resized(x, supernet.space.graph(arch).input.shape[1]), arch)
    return logits
