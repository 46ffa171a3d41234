"""Supernet: all architectures of a space, weights shared by group."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from edgenas.graph.graph import Arch, Graph, Node
from edgenas.graph.ops import Parameters, Zero
from edgenas.nn.layers import apply, initialise, trainable, zeros
from edgenas.nn.network import Network
from edgenas.spaces.base import SearchSpace


class Supernet(nn.Module):
    """Single path: each call runs one architecture on slices of the shared weights.

    A group's tensor is the largest over all alternatives and allowed statics. A smaller op takes the leading channels
    and the centre of the kernel. Batch norm shares scale and shift and normalises with the batch's own statistics;
    running ones are estimated per subnet (`reestimate_batch_norm`).
    """

    def __init__(self, space: SearchSpace, generator: torch.Generator | None = None, *, private: bool = False) -> None:
        """Fresh weights from `generator`. With `private` ones every node has its own, whatever its group."""
        super().__init__()
        self.space, self.private = space, private
        self.groups = weight_groups((space.supergraph(s) for s in space.all_statics()), private=private)
        self.shared = nn.ParameterDict()
        for group, (node, shapes) in self.groups.items():
            for name, shape in shapes.items():
                parameter = nn.Parameter(torch.empty(shape))
                with torch.no_grad():
                    initialise(name, parameter, node.op, generator)
                self.shared[parameter_key(group, name)] = parameter

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (N, classes) of one architecture for images (N, C, R, R) at its resolution."""
        graph = self.space.graph(arch)
        values = {graph.input.name: x}
        for node in graph.nodes[1:]:
            if isinstance(node.op, Zero):
                values[node.name] = zeros(node, x)
            else:
                values[node.name] = apply(node.op, [values[name] for name in node.inputs], self.weights(node), None)
        return values[graph.output.name]

    def weights(self, node: Node) -> dict[str, Tensor]:
        """The slices of the shared weights that `node` uses."""
        return {
            name: _slice(self.shared[parameter_key(self.group(node), name)], shape)
            for name, shape in trainable(node).items()
        }

    def group(self, node: Node) -> str:
        """The weight group that a node uses."""
        return node.name if self.private else node.weights

    def subnet(self, arch: Arch) -> Network:
        """A network with copies of the shared weights; its batch-norm statistics are yet to be estimated."""
        network = Network(self.space.graph(arch)).to(next(self.parameters()).device)
        with torch.no_grad():
            for node in network.graph.priced:
                weights = self.weights(node)
                for name, parameter in network.layer(node.name).weights.items():
                    parameter.copy_(weights[name])
        return network

    @torch.no_grad()
    def absorb(self, network: Network) -> None:
        """Inverse of `subnet`: the slices that a network of this space stands for take its weights over."""
        for node in network.graph.priced:
            slices = self.weights(node)
            for name, parameter in network.layer(node.name).weights.items():
                slices[name].copy_(parameter)

    def touched(self, arch: Arch) -> float:
        """Share of the shared parameters that one architecture trains."""
        used = sum(torch.Size(shape).numel() for node in self.space.graph(arch) for shape in trainable(node).values())
        return used / sum(parameter.numel() for parameter in self.parameters())


def parameter_key(group: str, name: str) -> str:
    """Key of a shared parameter; torch forbids dots in it."""
    return f"{group}:{name}".replace(".", "/")


def weight_groups(supergraphs: Iterable[Graph], *, private: bool = False) -> dict[str, tuple[Node, Parameters]]:
    """Per group one of its nodes, and the elementwise largest parameter shapes over all members.

    With `private` groups, members are nodes of one name.
    """
    groups: dict[str, tuple[Node, Parameters]] = {}
    for graph in supergraphs:
        for node in graph.priced:
            shapes = trainable(node)
            if not shapes:
                continue
            group = node.name if private else node.weights
            if group in groups:
                known = groups[group][1]
                if {name: len(shape) for name, shape in known.items()} != {n: len(s) for n, s in shapes.items()}:
                    raise ValueError(f"weight group {group!r} joins ops of different kinds: {node.key}")
                shapes = {name: tuple(map(max, known[name], shape)) for name, shape in shapes.items()}
            groups[group] = (node, shapes)
    return groups


def _slice(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Leading channels, centre of the kernel."""
    if tuple(tensor.shape) == shape:
        return tensor
    for axis, size in enumerate(shape):
        start = (tensor.shape[axis] - size) // 2 if axis >= 2 else 0
        tensor = tensor.narrow(axis, start, size)
    return tensor
