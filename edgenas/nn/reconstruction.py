"""Cuts of a trained network, fitted to what the whole one gives, in closed form (channel pruning, arXiv:1707.06168).

What is left of a block's hidden channels can stand for those that are gone, as far as they are correlated: the
pointwise layer that reads them is fitted again by least squares, block after block, each on what the cut network itself
gives it. Deviations: channels are chosen elsewhere; the fit is pulled towards the weights that are there, as a few
hundred images do not determine it; and behind a sum it answers for what the blocks before have left undone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from edgenas.graph.graph import OPTION, Graph, Node
from edgenas.graph.ops import Add, Conv, Zero
from edgenas.nn.layers import zeros
from edgenas.nn.network import Layer, Network

Options: TypeAlias = "dict[str, dict[int, dict[str, Tensor]]]"
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
        names = {node.name: node.weights for node in _projections(whole.graph)}
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
        fitted = {node.name for node in _projections(network.graph)}
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
        name = self.names.get(node.weights.partition(OPTION)[0])
        return None if name is None else self.values[name]


def _projections(graph: Graph) -> Iterator[Node]:
    """What reads a block's hidden channels."""
    return (node for node in graph.priced if isinstance(node.op, Conv) and node.op.is_projection)


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
        layer: a projection.
        x: (N, C, H, W), its input.
        target: (N, D, H, W).
    """
    a, y = _rows(x), _rows(target)
    a_mean, y_mean = a.mean(0), y.mean(0)
    centred = a - a_mean
    before = _kernel(layer)
    moments = Moments(a_mean, y_mean, centred.T @ centred / len(a), centred.T @ (y - y_mean) / len(a))
    kernel = moments.solved(before)
    for name, tensor in moments.parameters(layer, kernel).items():
        layer.tensors()[name].copy_(tensor)
    n, _, height, width = x.shape
    fitted: Tensor = (centred @ kernel + y_mean).reshape(n, height, width, -1).permute(0, 3, 1, 2)
    return fitted


@dataclass(frozen=True)
class Moments:
    """Means of input (C,) and target (D,), and their covariances (C, C) and (C, D), over all pixels of some images."""

    x_mean: Tensor
    y_mean: Tensor
    xx: Tensor
    xy: Tensor

    def leading(self, channels: int) -> Moments:
        """Return those of the leading channels of the input."""
        return Moments(self.x_mean[:channels], self.y_mean, self.xx[:channels, :channels], self.xy[:channels])

    def solved(self, before: Tensor) -> Tensor:
        """Return the kernel (C, D) of least squares, pulled towards the one before."""
        pull = (RIDGE * self.xx.diagonal().mean() + 1e-8) * torch.eye(len(self.xx), device=self.xx.device)
        # In 64 bits, as channels may be all but equal.
        change: Tensor = torch.linalg.solve((self.xx + pull).double(), (self.xy - self.xx @ before).double())
        return before + change.to(before.dtype)

    def parameters(self, layer: Layer, kernel: Tensor) -> dict[str, Tensor]:
        """Return a layer's tensors with this kernel (C, D), its batch norm passing on what that gives, and the mean."""
        assert isinstance(layer.op, Conv) and layer.op.epsilon is not None
        variance = (kernel * (self.xx @ kernel)).sum(0).clamp_min(0.0)
        scale = (variance + layer.op.epsilon).sqrt()
        weight = kernel.T[:, :, None, None]
        return {
            **{"weight": weight, "scale": scale, "shift": self.y_mean},
            **{"mean": self.x_mean @ kernel, "variance": variance},
        }


def _kernel(layer: Layer) -> Tensor:
    """A projection's kernel (C, D) with its batch norm."""
    assert isinstance(layer.op, Conv) and layer.op.epsilon is not None
    gain = layer.weights["scale"] / (layer.variance + layer.op.epsilon).sqrt()
    return (layer.weights["weight"][:, :, 0, 0] * gain[:, None]).T


def _rows(x: Tensor) -> Tensor:
    """(N, C, H, W) as pixels (N H W, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


@torch.no_grad()
def fitted_options(whole: Network, images: Tensor, kept: Mapping[str, Collection[int]]) -> Options:
    """Return the tensors of projections that read the leading ones of their channels alone.

    Where nothing before them is cut, such channels are what they are in the whole network, so that one pass of it does
    for all. Deviation: gates that read all of a block's channels change with a cut, which is left out here.

    Args:
        whole: with the statistics of batch norm that belong to such images.
        images: (N, C, R, R), at its size.
        kept: by the group of a layer, numbers of channels that are left.

    Returns:
        by group, by number of channels, the tensors by name.
    """
    whole.eval()
    nodes = [node for node in _projections(whole.graph) if node.weights in kept]
    names = {*(node.name for node in nodes), *(node.inputs[0] for node in nodes)}
    sums: dict[str, list[Tensor]] = {}
    for part in torch.split(images, CHUNK):
        values = whole.values(part, kept=names)
        for node in nodes:
            x, y = (_rows(values[name]).double() for name in (node.inputs[0], node.name))
            new = [torch.tensor(len(x)), x.sum(0), y.sum(0), x.T @ x, x.T @ y]
            sums[node.weights] = (
                [a + b for a, b in zip(sums[node.weights], new, strict=True)] if node.weights in sums else new
            )
    found: Options = {}
    for node in nodes:
        count, x, y, xx, xy = sums[node.weights]
        x, y = x / count, y / count
        moments = Moments(x, y, xx / count - torch.outer(x, x), xy / count - torch.outer(x, y))
        layer, before = whole.layer(node.name), _kernel(whole.layer(node.name)).double()
        found[node.weights] = {}
        for channels in kept[node.weights]:
            part_of = moments.leading(channels)
            tensors = part_of.parameters(layer, part_of.solved(before[:channels]))
            found[node.weights][channels] = {name: tensor.float() for name, tensor in tensors.items()}
    return found
