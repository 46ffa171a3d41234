"""Replacement losses: what each option of a trained network costs by itself (LANA, arXiv:2107.10624).

Deviations: alternatives are cuts of the network's own blocks, so none of them is trained first; and resolutions are
compared in the same way as blocks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from edgenas.data.base import Split
from edgenas.graph.graph import Arch
from edgenas.nn.supernet import Supernet
from edgenas.spaces.base import SearchSpace
from edgenas.training.distillation import Teacher, resized

IMAGES, BATCH = 256, 64  # of training; batch norm takes its statistics from all of them together


class Divergence:
    """How far networks of shared weights are from a teacher: mean Kullback-Leibler divergence, in nats."""

    def __init__(self, supernet: Supernet, teacher: Teacher, train: Split) -> None:
        """Compare on some training images, which the teacher sees at its own size."""
        size = teacher.side
        self.supernet = supernet
        self._known: dict[Arch, float] = {}  # the network that options are tried in comes once a choice
        self.images = torch.cat([x for x, _ in train.batches(BATCH, size=size, limit=IMAGES // BATCH)])
        self.labels = torch.cat([teacher.labels(x) for x in torch.split(self.images, BATCH)])

    def __call__(self, arch: Arch) -> float:
        """Return the divergence of a network, whose batch norm takes the statistics of these images."""
        if arch not in self._known:
            self._known[arch] = self._measured(arch)
        return self._known[arch]

    @torch.no_grad()
    def _measured(self, arch: Arch) -> float:
        side = self.supernet.space.graph(arch).input.shape[1]
        logits: Tensor = self.supernet(resized(self.images, side), arch)
        return float(F.kl_div(logits.float().log_softmax(1), self.labels, reduction="batchmean"))


def option_losses(
    divergence: Callable[[Arch], float], space: SearchSpace, base: Arch, progress: Callable[[int, int, str], None]
) -> list[list[float | None]]:
    """Return, for each option of each choice, the divergence of `base` with it; None where it is not allowed.

    Args:
        divergence: of an architecture.
        space: what is allowed.
        base: in which one choice at a time is changed.
        progress: called with options done, all options, and nothing else.
    """
    total, done = sum(map(len, space.allowed)), 0
    found: list[list[float | None]] = []
    for place, (choice, allowed) in enumerate(zip(space.choices, space.allowed, strict=True)):
        row: list[float | None] = [None] * len(choice.options)
        for option in allowed:
            row[option] = divergence((*base[:place], option, *base[place + 1 :]))
            done += 1
            progress(done, total, "replacement losses")
        found.append(row)
    return found
