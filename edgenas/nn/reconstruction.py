"""Cuts of a trained network, fitted to what the whole one gives, in closed form (channel pruning, arXiv:1707.06168).

What is left of a block's hidden channels can stand for those that are gone, as far as they are correlated: the
pointwise layer that reads them is fitted again by least squares, block after block, each on what the cut network itself
gives it. Deviations: channels are chosen elsewhere; the fit is pulled towards the weights that are there, as a few
hundred images do not determine it; and behind a sum it answers for what the blocks before have left undone.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from edgenas.graph.graph import Graph, Node
from edgenas.graph.ops import Add, Conv, Zero
from edgenas.nn.layers import zeros
from edgenas.nn.network import Layer, Network

# Strength of the pull, in mean squares of an input channel: from 0.1 to 10 it makes little difference.
RIDGE = 1.0
CHUNK = 64  # images that the whole network sees at once


class Reference:
    """What the layers of a whole network give some images, and cuts of it are fitted to."""

    def __init__(self, whole: Network, images: Tensor) -> None:
        """Keep what its linear pointwise layers, and the sums behind them, give.

        Args:
            whole: with the statistics of batch norm that belong to such images; it is left in evaluation mode.
            images: (N, C, R, R), at the network's size.
        """
        self.images = images
        whole.eval()
        sums = _sums(whole.graph)
        names = {node.name: node.weights for node in _linear(whole.graph)}
        kept = {*names, *(sums[name][0] for name in names if name in sums)}
        with torch.no_grad():
            parts = [whole.values(x, kept=kept) for x in torch.split(images, CHUNK)]
        self.values = {name: torch.cat([part[name] for part in parts]) for name in kept}
        self.names = {group: name for name, group in names.items()}

    @torch.no_grad()
    def fit(self, network: Network) -> None:
        """Fit the linear pointwise layers of a cut, in place; its batch norm takes the statistics of these images.

        Args:
            network: of the same size and width as the whole one; it is left in evaluation mode.
        """
        network.eval()
        sums = _sums(network.graph)
        fitted = {node.name for node in _linear(network.graph)}
        values = {network.graph.input.name: self.images}
        for node in network.graph.nodes[1:]:
            if isinstance(node.op, Zero):
                values[node.name] = zeros(node, self.images)
                continue
            inputs, layer = [values[name] for name in node.inputs], network.layer(node.name)
            value = _normalised(layer, inputs)
            target = self._target(node, sums.get(node.name), values) if node.name in fitted else None
            if target is not None and target.shape == value.shape:
                value = _refitted(layer, inputs[0], target)
            values[node.name] = value
            for name in network.last_reads.get(node.name, ()):
                del values[name]

    def _target(self, node: Node, sum_: tuple[str, str] | None, values: dict[str, Tensor]) -> Tensor | None:
        """What a layer should give: what the whole network's gives; before a sum, what makes the sum equal."""
        if sum_ is not None and sum_[0] in self.values and sum_[1] in values:
            total, other = self.values[sum_[0]], values[sum_[1]]
            return total - other if total.shape == other.shape else None
        name = self.names.get(node.weights)
        return None if name is None else self.values[name]


def _linear(graph: Graph) -> Iterator[Node]:
    """Pointwise convolutions with batch norm and without an activation: what reads a block's hidden channels."""
    for node in graph.priced:
        op = node.op
        if isinstance(op, Conv) and (op.kernel, op.groups, op.stride, op.act) == (1, 1, 1, "none") and op.epsilon:
            yield node


def _sums(graph: Graph) -> dict[str, tuple[str, str]]:
    """By each value that is added to another: the sum, and the other."""
    adds = [node for node in graph.nodes if isinstance(node.op, Add) and len(node.inputs) == 2]
    return {name: (add.name, add.inputs[1 - i]) for add in adds for i, name in enumerate(add.inputs)}


def _normalised(layer: Layer, inputs: list[Tensor]) -> Tensor:
    """A layer's value, its batch norm having taken the statistics of all images."""
    if layer.statistics is None:
        return layer(*inputs)  # type: ignore[no-any-return]
    momentum, layer.momentum = layer.momentum, 1.0
    layer.train()
    value: Tensor = layer(*inputs)
    layer.eval()
    layer.momentum = momentum
    return value


def _refitted(layer: Layer, x: Tensor, target: Tensor) -> Tensor:
    """Fit a layer's kernel, and set its batch norm so that it changes nothing: return what it gives then.

    Args:
        layer: a pointwise convolution with batch norm.
        x: (N, C, H, W), its input.
        target: (N, D, H, W).
    """
    op, weights = layer.op, layer.weights
    assert isinstance(op, Conv) and op.epsilon is not None
    a, y = (t.permute(0, 2, 3, 1).reshape(-1, t.shape[1]) for t in (x, target))
    a_mean, y_mean = a.mean(0), y.mean(0)
    gain = weights["scale"] / (layer.variance + op.epsilon).sqrt()
    before = (weights["weight"][:, :, 0, 0] * gain[:, None]).T  # (C, D)
    centred = a - a_mean
    gram, missing = centred.T @ centred / len(a), centred.T @ (y - y_mean - centred @ before) / len(a)
    pull = (RIDGE * gram.diagonal().mean() + 1e-8) * torch.eye(len(gram), device=gram.device)
    # In 64 bits, as channels may be all but equal.
    change = torch.linalg.solve((gram + pull).double(), missing.double()).to(before.dtype)
    kernel = before + change
    value = centred @ kernel
    variance = value.var(0, unbiased=False)
    weights["weight"].copy_(kernel.T[:, :, None, None])
    layer.mean.copy_(a_mean @ kernel)
    layer.variance.copy_(variance)
    weights["scale"].copy_((variance + op.epsilon).sqrt())
    weights["shift"].copy_(y_mean)
    n, _, height, width = x.shape
    fitted: Tensor = (value + y_mean).reshape(n, height, width, -1).permute(0, 3, 1, 2)
    return fitted
