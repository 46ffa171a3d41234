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
from edgenas.graph.graph import Arch, Graph
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
        self._prefix: Prefix | None = None
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
        """The logits of a network, which begins as the one before did, as far as they are the same."""
        if arch not in self._logits:
            graph = self.supernet.space.graph(arch)
            x = resized(self.images, graph.input.shape[1])
            known = self._prefix.upto(graph) if self._prefix else None
            start, part = known or ({graph.input.name: x}, slice(1, None))
            found = self.supernet.run(graph, x, start, part, known_statistics=True)
            self._logits[arch] = found[graph.output.name].float()
        return self._logits[arch]

    def begin(self, base: Arch) -> None:
        """Keep what a network's nodes give, one after another: others that begin as it does go on from there."""
        self._prefix = Prefix(self.supernet, self.supernet.space.graph(base), self.images)


class Prefix:
    """A network's values as far as other networks have them, too."""

    def __init__(self, supernet: Supernet, graph: Graph, images: Tensor) -> None:
        """Begin with the images, at the network's size."""
        self.supernet, self.graph, self.x = supernet, graph, resized(images, graph.input.shape[1])
        self.done, self.values = 1, {graph.input.name: self.x}

    def upto(self, other: Graph) -> tuple[dict[str, Tensor], slice] | None:
        """Return the values that are live where another network goes its own way, and its nodes from there on.

        None where they are not known: networks are to come in the order in which they leave this one.
        """
        pairs = zip(self.graph.nodes, other.nodes, strict=False)
        same = next((i for i, (mine, theirs) in enumerate(pairs) if mine != theirs), 0)
        if same < self.done:
            return None
        part = slice(self.done, same)
        self.values = self.supernet.run(self.graph, self.x, self.values, part, known_statistics=True)
        self.done = same
        rest = other.nodes[same:]
        needed = {name for node in rest for name in node.inputs} - {node.name for node in rest}
        return (self.values, slice(same, None)) if needed <= self.values.keys() else None


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
