"""Auxiliary head: a second classifier halfway, for its gradient alone (arXiv:1409.4842; DARTS, section A.4.1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgenas.graph.ops import EPSILON
from edgenas.nn.drop_path import DropPath
from edgenas.nn.network import MOMENTUM, Network

REDUCED, WIDE = 128, 768  # channels, as in DARTS
SIDE = 2  # pixels of what the last convolution sees


class AuxiliaryHead(nn.Module):
    """Pooling, 1x1 and 2x2 convolutions with batch norm, classifier.

    Deviation: pooled to 2x2 from any size; the paper's 5x5 windows with stride 3 take 8x8 pixels alone.
    """

    def __init__(self, channels: int, classes: int, generator: torch.Generator | None = None) -> None:
        """Draw fresh weights from `generator`, for a value of `channels` channels."""
        super().__init__()
        self.reduce = nn.Parameter(torch.empty(REDUCED, channels, 1, 1))
        self.widen = nn.Parameter(torch.empty(WIDE, REDUCED, SIDE, SIDE))
        self.classify = nn.Linear(WIDE, classes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(n, eps=EPSILON, momentum=MOMENTUM) for n in (REDUCED, WIDE))
        for kernel in (self.reduce, self.widen):
            nn.init.kaiming_normal_(kernel, mode="fan_out", generator=generator)
        nn.init.normal_(self.classify.weight, std=0.01, generator=generator)
        nn.init.zeros_(self.classify.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) for a value (N, C, H, W)."""
        # The ReLU comes first, as in DARTS: what the head reads, a cell's output, has none.
        x = F.adaptive_avg_pool2d(F.relu(x), SIDE)
        for kernel, norm in zip((self.reduce, self.widen), self.norms, strict=True):
            x = F.relu(norm(F.conv2d(x, kernel)))
        logits: Tensor = self.classify(x.flatten(1))
        return logits


class TrainedNetwork(nn.Module):
    """A network with drop-path and an auxiliary head, which only its training has."""

    def __init__(self, network: Network, reads: str | None, generator: torch.Generator | None = None) -> None:
        """Wrap a network, with drop-path and, unless `reads` is None, a head on the value of that node."""
        super().__init__()
        self.network, self.reads, self.drop = network, reads, DropPath(network.graph)
        nodes = {node.name: node for node in network.graph}
        classes = network.graph.output.shape[0]
        self.head = None if reads is None else AuxiliaryHead(nodes[reads].shape[0], classes, generator)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits of the network, and those of the head if there is one."""
        values = self.network.values(x, self.drop, kept=() if self.reads is None else (self.reads,))
        logits = values[self.network.graph.output.name]
        return logits, None if self.head is None or self.reads is None else self.head(values[self.reads])


def network_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of the network alone, from its own or that of a `TrainedNetwork`."""
    # A recipe without drop-path and auxiliary loss trains the network itself, whose names have no prefix.
    own = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    return own or dict(state)
