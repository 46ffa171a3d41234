"""Drop-path: training leaves out whole branches of sums at random, image by image (arXiv:1605.07648)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from edgenas.graph.graph import Graph
from edgenas.graph.ops import Add


class DropPath:
    """The branches of a graph that may be dropped, and the draws of one step.

    A branch is what a kernel gives to one sum alone; shortcuts, which others read too, stay, as do the identities of
    DARTS (arXiv:1806.09055).
    """

    def __init__(self, graph: Graph) -> None:
        """Find the branches of a graph; nothing is dropped before `draw`."""
        readers = Counter(name for node in graph for name in node.inputs)
        summed = {name for node in graph if isinstance(node.op, Add) for name in node.inputs}
        self.branches = [n.name for n in graph.priced if n.name in summed and readers[n.name] == 1]
        self._place = {name: i for i, name in enumerate(self.branches)}
        self._kept: Tensor | None = None

    def draw(self, probability: float, images: int, device: torch.device, rng: Generator) -> None:
        """Draw what is dropped until the next draw; the rest is scaled up.

        Args:
            probability: with which each branch of each image is dropped.
            images: in a batch.
            device: of the network.
            rng: of the draws; at probability 0 nothing is drawn.
        """
        self._kept = None
        if probability > 0 and self.branches:
            # Drawn on the CPU, so that every device drops the same.
            kept = torch.from_numpy(rng.random((len(self.branches), images), dtype=np.float32)) >= probability
            # What is kept grows by what is dropped, so that the mean of a branch stays what it is without drops.
            self._kept = (kept.float() / (1 - probability)).to(device, non_blocking=True)

    def __call__(self, name: str, value: Tensor) -> Tensor:
        """Return the value of a node (N, C, H, W), with its dropped images at zero."""
        if self._kept is None or name not in self._place:
            return value
        # The value's own type: under autocast a float32 factor would make a bfloat16 value float32.
        return value * self._kept[self._place[name]].to(value.dtype).view(-1, 1, 1, 1)
