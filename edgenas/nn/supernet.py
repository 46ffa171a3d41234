"""Supernet: all architectures of a space, their weights shared by group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from edgenas.graph.graph import Arch, Graph, Node
from edgenas.graph.ops import Parameters, Zero
from edgenas.nn.layers import Statistics, apply, initialise, leading_slice, trainable, zeros
from edgenas.nn.network import Network, last_reads
from edgenas.spaces.base import SearchSpace

STATISTICS = ("mean", "variance")  # of batch norm


class Supernet(nn.Module):
    """All networks of a space; each call runs one of them on slices of the shared weights.

    A group's tensor is the largest over all alternatives and allowed shape choices. A smaller op takes the leading
    channels and the centre of the kernel. Batch norm shares scale and shift, and normalises with the batch's own
    statistics while it is trained. Those that trained weights came with stay with them until they are trained on.
    """

    def __init__(self, space: SearchSpace, generator: torch.Generator | None = None) -> None:
        """Draw fresh weights from `generator`; those that the space comes with take their place."""
        super().__init__()
        self.space = space
        # Allowed shape choices alone: narrowing the width makes a smaller supernet.
        self.groups = weight_groups(space.supergraph(s) for s in space.all_statics())
        self.shared = nn.ParameterDict()
        for group, (node, shapes) in self.groups.items():
            if space.trained and "scale" in shapes:
                for name in STATISTICS:
                    known = space.trained.get(f"{group}.{name}")
                    tensor = torch.full(shapes["scale"], math.nan)  # not known
                    if known is not None:
                        tensor.copy_(leading_slice(torch.from_numpy(known), shapes["scale"]))
                    self.register_buffer(parameter_key(group, name), tensor)
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
            known_statistics: whether batch norm goes by those of `statistics`, where they are known.
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
        """Return a network with copies of the shared weights, and of statistics that are known.

        Its own are yet to be estimated (`reestimate_batch_norm`), unless it is the network that all weights came with.
        """
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
        """Return the statistics of batch norm that the weights came with, as `node` uses them; None if not known.

        Not of a cropped kernel: what it gives has others.
        """
        mean, variance = (self._buffers.get(parameter_key(node.weights, name)) for name in STATISTICS)
        if mean is None or variance is None or bool(mean[0].isnan()):
            return None
        shape = trainable(node)["weight"]
        if shape[2:] != tuple(self.shared[parameter_key(node.weights, "weight")].shape[2:]):
            return None
        return Statistics(mean[: shape[0]], variance[: shape[0]], momentum=0.0)

    @property
    def knows_statistics(self) -> bool:
        """Tell whether the weights are still those that the statistics of batch norm belong to."""
        return any(not bool(tensor.isnan().any()) for tensor in self.buffers())

    def forget_statistics(self) -> None:
        """Drop the statistics that the weights came with, as they are trained on, all networks together."""
        for tensor in self.buffers():
            tensor.fill_(math.nan)

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
