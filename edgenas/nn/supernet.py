"""Supernet: all architectures of a space, their weights shared by group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from edgenas.graph.graph import Arch, Graph, Node
from edgenas.graph.ops import Parameters, Zero
from edgenas.nn.layers import Statistics, apply, initialise, leading_slice, trainable, zeros
from edgenas.nn.network import Network, last_reads
from edgenas.spaces.base import SearchSpace


class Supernet(nn.Module):
    """All networks of a space; each call runs one of them on slices of the shared weights.

    A group's tensor is the largest over all alternatives and allowed shape choices. A smaller op takes the leading
    channels and the centre of the kernel. Batch norm shares scale and shift, and normalises with the batch's own
    statistics; running ones are estimated for each subnet (`reestimate_batch_norm`).
    """

    def __init__(self, space: SearchSpace, generator: torch.Generator | None = None) -> None:
        """Draw fresh weights from `generator`; those that the space comes with take their place."""
        super().__init__()
        self.space = space
        # Allowed shape choices alone: narrowing the width makes a smaller supernet.
        self.groups = weight_groups(space.supergraph(s) for s in space.all_statics())
        self.shared = nn.ParameterDict()
        for group, (node, shapes) in self.groups.items():
            for name, shape in shapes.items():
                parameter = nn.Parameter(torch.empty(shape))
                with torch.no_grad():
                    initialise(name, parameter, node.op, generator)
                    if (known := space.trained.get(f"{group}.{name}")) is not None:
                        parameter.copy_(leading_slice(torch.from_numpy(known), shape))
                self.shared[parameter_key(group, name)] = parameter

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        """Return logits (N, classes) of one architecture for images (N, C, R, R) at its resolution."""
        graph = self.space.graph(arch)
        return self.run(graph, x, {graph.input.name: x}, slice(1, None))[graph.output.name]

    def run(
        self, graph: Graph, x: Tensor, values: Mapping[str, Tensor], part: slice, *, known_statistics: bool = False
    ) -> dict[str, Tensor]:
        """Return the values that are live behind a part of the nodes of a network of the space, by name.

        Args:
            graph: the network.
            x: the images (N, C, R, R).
            values: that are live before it.
            part: of the nodes.
            known_statistics: whether batch norm goes by those that the space comes with, where it has them.
        """
        values, last = dict(values), last_reads(graph)
        for node in graph.nodes[part]:
            if isinstance(node.op, Zero):
                values[node.name] = zeros(node, x)
            else:
                statistics = self.statistics(node) if known_statistics else None
                inputs = [values[name] for name in node.inputs]
                values[node.name] = apply(node.op, inputs, self.weights(node), statistics)
            # Nothing reads these any more: without gradients, memory holds what is live alone.
            for name in last.get(node.name, ()):
                del values[name]
        return values

    def weights(self, node: Node) -> dict[str, Tensor]:
        """Return the slices of the shared weights that `node` uses, by parameter."""
        return {
            name: leading_slice(self.shared[parameter_key(node.weights, name)], shape)
            for name, shape in trainable(node).items()
        }

    def subnet(self, arch: Arch) -> Network:
        """Return a network with copies of the shared weights; its batch-norm statistics are yet to be estimated."""
        network = Network(self.space.graph(arch)).to(next(self.parameters()).device)
        with torch.no_grad():
            for node in network.graph.priced:
                weights = self.weights(node)
                for name, parameter in network.layer(node.name).weights.items():
                    # Copies, because slices are views: to train the subnet must not train the supernet.
                    parameter.copy_(weights[name])
                if (known := self.statistics(node)) is not None:
                    layer = network.layer(node.name)
                    layer.mean.copy_(known.mean)
                    layer.variance.copy_(known.variance)
        return network

    def statistics(self, node: Node) -> Statistics | None:
        """Return the statistics of batch norm that the space comes with, as `node` uses them; None if it has none.

        Not of a cropped kernel: what it gives has others.
        """
        mean, variance = (self.space.trained.get(f"{node.weights}.{name}") for name in ("mean", "variance"))
        if mean is None or variance is None or "scale" not in trainable(node):
            return None
        shape = trainable(node)["weight"]
        if shape[2:] != tuple(self.shared[parameter_key(node.weights, "weight")].shape[2:]):
            return None
        device = next(self.parameters()).device
        return Statistics(*(torch.from_numpy(t[: shape[0]]).to(device) for t in (mean, variance)), momentum=0.0)

    @torch.no_grad()
    def load_subnet(self, network: Network) -> None:
        """Copy the weights of a network of this space into the slices that it stands for: the inverse of `subnet`."""
        for node in network.graph.priced:
            slices = self.weights(node)
            for name, parameter in network.layer(node.name).weights.items():
                slices[name].copy_(parameter)


def parameter_key(group: str, name: str) -> str:
    """Return the key of a shared parameter; torch forbids dots in it."""
    return f"{group}:{name}".replace(".", "/")


def weight_groups(supergraphs: Iterable[Graph]) -> dict[str, tuple[Node, Parameters]]:
    """Return, for each group, one of its nodes and the elementwise largest parameter shapes over all members.

    Raises:
        ValueError: a group joins ops whose parameters differ in name or number of dimensions.
    """
    groups: dict[str, tuple[Node, Parameters]] = {}
    for graph in supergraphs:
        for node in graph.priced:
            shapes = trainable(node)
            if not shapes:
                continue
            group = node.weights
            if group in groups:
                known = groups[group][1]
                if {name: len(shape) for name, shape in known.items()} != {n: len(s) for n, s in shapes.items()}:
                    raise ValueError(f"weight group {group!r} joins ops of different kinds: {node.key}")
                shapes = {name: tuple(map(max, known[name], shape)) for name, shape in shapes.items()}
            groups[group] = (node, shapes)
    return groups
