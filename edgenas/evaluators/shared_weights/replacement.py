"""Replacement losses: what each option of a trained network costs by itself (LANA, arXiv:2107.10624).

Deviations: alternatives are cuts of the network's own blocks, so none of them is trained first; resolutions are
compared in the same way as blocks; and a block's options are compared with the network that they are tried in, not with
the teacher: where that network is at some distance already, another small step may lead anywhere, even back.
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
    """How far networks of shared weights are from a teacher, or from each other: mean divergence (Kullback-Leibler)."""

    def __init__(self, supernet: Supernet, teacher: Teacher, train: Split) -> None:
        """Compare on some training images, which the teacher sees at its own size."""
        self.supernet = supernet
        self.images = torch.cat([x for x, _ in train.batches(BATCH, size=teacher.side, limit=IMAGES // BATCH)])
        self.labels = torch.cat([teacher.labels(x) for x in torch.split(self.images, BATCH)])
        self._logits: dict[Arch, Tensor] = {}  # the network that options are tried in comes once a choice

    def __call__(self, arch: Arch, reference: Arch | None = None) -> float:
        """Return the divergence in nats from the teacher, or from another network.

        Args:
            arch: whose batch norm takes the statistics of these images.
            reference: the other network; None for the teacher.
        """
        labels = self.labels if reference is None else self._of(reference).softmax(1)
        found = F.kl_div(self._of(arch).log_softmax(1), labels, reduction="batchmean")
        return max(0.0, float(found))  # of equal ones rounding may leave less than 0

    @torch.no_grad()
    def _of(self, arch: Arch) -> Tensor:
        if arch not in self._logits:
            side = self.supernet.space.graph(arch).input.shape[1]
            self._logits[arch] = self.supernet(resized(self.images, side), arch).float()
        return self._logits[arch]


def option_losses(
    divergence: Callable[[Arch, Arch | None], float],
    space: SearchSpace,
    base: Arch,
    progress: Callable[[int, int, str], None],
) -> list[list[float | None]]:
    """Return what each option of each choice costs in `base`; None where it is not allowed.

    An option of a shape choice costs the divergence from the teacher, one of a block that from `base`: together they
    are about what a network costs that differs in several.

    Args:
        divergence: of an architecture, from another one or from the teacher.
        space: what is allowed.
        base: in which one choice at a time is changed.
        progress: called with options done, all options, and nothing else.
    """
    total, done = sum(map(len, space.allowed)), 0
    found: list[list[float | None]] = []
    for place, (choice, allowed) in enumerate(zip(space.choices, space.allowed, strict=True)):
        row: list[float | None] = [None] * len(choice.options)
        for option in allowed:
            changed = (*base[:place], option, *base[place + 1 :])
            row[option] = divergence(changed, None if choice.static else base)
            done += 1
            progress(done, total, "replacement losses")
        found.append(row)
    return found
