"""Cuts of a trained network, fitted to what the whole one gives, in closed form (channel pruning, arXiv:1707.06168).

What is left of a block's hidden channels can stand for those that are gone, as far as they are correlated: the
pointwise layer that reads them is fitted again by least squares, block after block, each on what the cut network itself
gives it. Deviations: channels are chosen elsewhere; the fit is pulled towards the weights that are there, as a few
hundred images do not determine it; and behind a sum it answers for what the blocks before have left undone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from edgenas.graph.graph import OPTION, Graph, Node
from edgenas.graph.ops import Add, Conv, Zero
from edgenas.nn.layers import before_norm, normed, zeros
from edgenas.nn.network import Layer, Network

Options: TypeAlias = "dict[str, dict[int, dict[str, Tensor]]]"
# Strength of the pull, in mean squares of an input channel: from 0.1 to 10 it makes little difference.
RIDGE = 1.0
CHUNK = 64  # images that the whole network sees at once
LEAST_VARIANCE = 1e-8  # of a channel that gives the same everywhere
PIXELS = 8192  # of all images together that a layer is fitted on: many times as many as it reads channels


class Norm(NamedTuple):
    """A batch norm of the whole network: moments (C,) of what it reads of some images, and the statistics it has."""

    batch_mean: Tensor
    batch_variance: Tensor
    mean: Tensor
    variance: Tensor


class Reference:
    """What the layers of a whole network give some images, and cuts of it are fitted to."""

    def __init__(self, whole: Network, images: Tensor, original: Reference | None = None) -> None:
        """Keep pixels of what its linear pointwise layers, and the sums behind them, give.

        Args:
            whole: with the statistics of batch norm that belong to such images; it is left in evaluation mode.
            images: (N, C, R, R), at the network's size.
            original: of the same network at the size that its statistics belong to; those of this size are set by it,
                in place, so that each layer gives the mean and variance that it gives there.
        """
        self.each = -(-PIXELS // len(images))  # pixels of each image
        self.whole = whole.eval()
        sums = _sums(whole.graph)
        names = {node.name: node.weights for node in _projections(whole.graph)}
        kept = {*names, *(sums[name][0] for name in names if name in sums)}
        self.rows: dict[str, Tensor] = {}
        self.names = {group: name for name, group in names.items()}
        self.norms: dict[str, Norm] = {}  # by group

        def look(node: Node, layer: Layer, inputs: list[Tensor]) -> Tensor:
            value = _value(layer, inputs, partial(self._note, original, node, layer))
            if node.name in kept:
                self.rows[node.name] = self._rows(value)
            return value

        _walk(whole, images, look)

    @torch.no_grad()
    def fit(self, network: Network, images: Tensor) -> Tensor:
        """Fit the linear pointwise layers of a cut, in place.

        Its other batch norms get the statistics by which they give the mean and variance that the whole network's give.

        Args:
            network: of the same size and width as the whole one; it is left in evaluation mode.
            images: (N, C, R, R), those that the whole one has seen.

        Returns:
            the logits (N, classes) that it gives the images then.
        """
        network.eval()
        sums = _sums(network.graph)
        fitted = {node.name for node in _projections(network.graph)}
        values = {network.graph.input.name: images}

        def fit(node: Node, layer: Layer, inputs: list[Tensor]) -> Tensor:
            target = self._target(node, sums.get(node.name), values) if node.name in fitted else None
            if target is not None and target.shape[1] == node.shape[0]:
                _refit(layer, self._rows(inputs[0]), target)
                value: Tensor = layer(*inputs)
                return value
            return _value(layer, inputs, partial(self._match, node, layer))

        return _walk(network, images, fit, values)

    def _note(self, original: Reference | None, node: Node, layer: Layer, mean: Tensor, variance: Tensor) -> None:
        """Keep the moments of what a layer's batch norm reads, and the statistics that it has then."""
        if original is not None:
            original._match(node, layer, mean, variance)
        self.norms[node.weights] = Norm(mean, variance, layer.mean.clone(), layer.variance.clone())

    def _match(self, node: Node, layer: Layer, mean: Tensor, variance: Tensor) -> None:
        """Set the statistics by which a layer gives the mean and variance that the whole network's gives.

        Args:
            node: the layer's.
            layer: changed in place.
            mean, variance: (C,) of what its batch norm reads.
        """
        known = self.norms.get(node.weights.partition(OPTION)[0])
        if known is None or len(known.mean) < len(mean):
            layer.mean.copy_(mean)
            layer.variance.copy_(variance)
            return
        whole = Norm(*(tensor[: len(mean)] for tensor in known))
        ratio = variance / whole.batch_variance.clamp_min(LEAST_VARIANCE)
        layer.mean.copy_(mean - (whole.batch_mean - whole.mean) * ratio.sqrt())
        layer.variance.copy_(whole.variance * ratio)

    def _target(self, node: Node, sum_: tuple[str, str] | None, values: dict[str, Tensor]) -> Tensor | None:
        """Pixels of what a layer should give: the whole network's; before a sum, what makes the sum equal."""
        if sum_ is not None and sum_[0] in self.rows and sum_[1] in values:
            total, other = self.rows[sum_[0]], self._rows(values[sum_[1]])
            return total - other if total.shape == other.shape else None
        name = self.names.get(node.weights.partition(OPTION)[0])
        return None if name is None else self.rows[name]

    def _rows(self, x: Tensor) -> Tensor:
        """(N, C, H, W) as pixels (n, C): of each image those at the same places, spread at random."""
        area = x.shape[2] * x.shape[3]
        pixels = x.permute(0, 2, 3, 1).reshape(len(x), area, -1)
        if area > self.each:
            pixels = pixels[:, torch.randperm(area, generator=torch.Generator().manual_seed(0))[: self.each]]
        return pixels.reshape(-1, x.shape[1])


def _projections(graph: Graph) -> Iterator[Node]:
    """What reads a block's hidden channels."""
    return (node for node in graph.priced if isinstance(node.op, Conv) and node.op.is_projection)


def _sums(graph: Graph) -> dict[str, tuple[str, str]]:
    """By each value that is added to another: the sum, and the other."""
    adds = [node for node in graph.nodes if isinstance(node.op, Add) and len(node.inputs) == 2]
    return {name: (add.name, add.inputs[1 - i]) for add in adds for i, name in enumerate(add.inputs)}


@torch.no_grad()
def _walk(
    network: Network,
    images: Tensor,
    value_of: Callable[[Node, Layer, list[Tensor]], Tensor],
    values: dict[str, Tensor] | None = None,
) -> Tensor:
    """Go through a network as it would itself, each layer's value being what `value_of` gives; return the logits."""
    values = {} if values is None else values
    values[network.graph.input.name] = images
    for node in network.graph.nodes[1:]:
        if isinstance(node.op, Zero):
            values[node.name] = zeros(node, images)
            continue
        values[node.name] = value_of(node, network.layer(node.name), [values[name] for name in node.inputs])
        for name in network.last_reads.get(node.name, ()):
            del values[name]
    return values[network.graph.output.name]


def _value(layer: Layer, inputs: list[Tensor], told: Callable[[Tensor, Tensor], None]) -> Tensor:
    """A layer's output; `told` gets mean and variance (C,) of what its batch norm reads, and may set its statistics."""
    if layer.statistics is None:
        plain: Tensor = layer(*inputs)
        return plain
    y = before_norm(layer.op, inputs, layer.weights)
    rows = y.permute(0, 2, 3, 1).reshape(-1, y.shape[1])
    # As products: sums along this axis take a multiple of the time.
    each = rows.new_full((1, len(rows)), 1 / len(rows))
    mean = (each @ rows)[0]
    told(mean, ((each @ rows.square())[0] - mean.square()).clamp_min(0.0))
    return normed(layer.op, y, layer.weights, layer.statistics)


def _refit(layer: Layer, x: Tensor, target: Tensor) -> None:
    """Fit a layer's kernel, and set its batch norm so that it changes nothing.

    Args:
        layer: a projection.
        x: (n, C), pixels of its input.
        target: (n, D).
    """
    x_mean, y_mean = x.mean(0), target.mean(0)
    x, y = x - x_mean, target - y_mean
    moments = Moments(x_mean, y_mean, x.T @ x / len(x), x.T @ y / len(x))
    for name, tensor in moments.parameters(layer, moments.solved(moments.kernel(layer))).items():
        layer.tensors()[name].copy_(tensor)


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

    def kernel(self, layer: Layer) -> Tensor:
        """Return a projection's kernel (C, D) with its batch norm, whose variance is that of this input."""
        assert isinstance(layer.op, Conv) and layer.op.epsilon is not None
        weight = layer.weights["weight"][:, :, 0, 0].to(self.xx.dtype)
        variance = ((weight @ self.xx) * weight).sum(1).clamp_min(0.0)
        gain = layer.weights["scale"] / (variance + layer.op.epsilon).sqrt()
        return (weight * gain[:, None]).T

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
        layer = whole.layer(node.name)
        before = moments.kernel(layer)
        found[node.weights] = {}
        for channels in kept[node.weights]:
            part_of = moments.leading(channels)
            tensors = part_of.parameters(layer, part_of.solved(before[:channels]))
            found[node.weights][channels] = {name: tensor.float() for name, tensor in tensors.items()}
    return found
