"""The sandwich rule with in-place distillation (BigNAS, arXiv:2003.11142, sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch.nn.functional as F
from torch import Tensor

from edgenas.graph.graph import Arch
from edgenas.nn.supernet import Supernet
from edgenas.training.settings import Settings
from edgenas.training.train import Gradients


def sandwich(supernet: Supernet, settings: Settings, archs_of: Callable[[int], Sequence[Arch]]) -> Gradients:
    """Return a function that adds the gradients of several architectures on one batch.

    The teacher learns from the labels, the others from the teacher's soft predictions. Each runs at its own resolution.

    Args:
        supernet: whose weights are trained.
        settings: of the training; its label smoothing is the teacher's.
        archs_of: gives the architectures of a step, the teacher first.
    """
    # All ghost batches of a step train the same architectures. Drawing them may consume random numbers: once a step.
    archs_of_step = lru_cache(maxsize=1)(archs_of)

    def gradients(x: Tensor, y: Tensor, step: int) -> Tensor:
        teacher, *students = archs_of_step(step)
        logits = supernet(resized(x, supernet, teacher), teacher)
        loss = F.cross_entropy(logits, y, label_smoothing=settings.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        # The teacher's logits are detached: it is not to come closer to what its students can do.
        target = logits.detach().float().softmax(1)
        for arch in students:
            F.cross_entropy(supernet(resized(x, supernet, arch), arch), target).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return gradients


def resized(x: Tensor, supernet: Supernet, arch: Arch) -> Tensor:
    """Return full-size images (N, C, H, W) at the resolution of an architecture."""
    _, side, _ = supernet.space.graph(arch).input.shape
    if x.shape[-1] == side:
        return x
    # As `preprocess` does it, so that a subnet is scored on images like those that it was trained on.
    return F.interpolate(x, (side, side), mode="bilinear", antialias=True)
