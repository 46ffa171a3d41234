"""Network: a derived graph with weights of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgenas.graph.graph import Arch, Graph, Node
from edgenas.graph.ops import Zero
from edgenas.nn.layers import Statistics, apply, fold, initialise, leading_slice, trainable, zeros
from edgenas.spaces.base import SearchSpace

MOMENTUM = 0.1  # of batch norm's running statistics, torch's default


def _unchanged(name: str, value: Tensor) -> Tensor:
    return value


class Layer(nn.Module):
    """One node: its parameters, and batch-norm statistics if it is normalised."""

    mean: Tensor
    variance: Tensor

    def __init__(self, node: Node, generator: torch.Generator | None = None, *, folded: bool = False) -> None:
        """Draw the parameters from `generator`; a `folded` convolution has a bias instead of batch norm."""
        super().__init__()
        self.op = node.op
        shapes = node.parameters if folded else trainable(node)
        # torch forbids dots in the name of a parameter.
        self.names = {name: name.replace(".", "_") for name in shapes}
        for name, shape in shapes.items():
            parameter = nn.Parameter(torch.empty(shape))
            with torch.no_grad():
                initialise(name, parameter, node.op, generator)
            self.register_parameter(self.names[name], parameter)
        self.momentum = MOMENTUM
        if "scale" in shapes:
            self.register_buffer("mean", torch.zeros(shapes["scale"]))
            self.register_buffer("variance", torch.ones(shapes["scale"]))

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """Return the parameters under the names that the op gives them."""
        return {name: getattr(self, attribute) for name, attribute in self.names.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return parameters and statistics of batch norm, by name."""
        return {**self.weights, **dict(self.named_buffers())}

    @property
    def statistics(self) -> Statistics | None:
        """Return the batch-norm statistics: updated in training mode, only read in evaluation mode."""
        if "scale" not in self.names:
            return None
        return Statistics(self.mean, self.variance, self.momentum if self.training else 0.0)

    def folded(self) -> dict[str, Tensor]:
        """Return its parameters with batch norm folded in."""
        statistics = self.statistics
        return dict(self.weights) if statistics is None else fold(self.op, self.weights, statistics)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the op's output (N, C, H, W), or (N, classes) from a Linear."""
        return apply(self.op, inputs, self.weights, self.statistics)


class Network(nn.Module):
    """Runs a graph without choices: images (N, C, H, W) to logits (N, classes)."""

    def __init__(self, graph: Graph, generator: torch.Generator | None = None, *, folded: bool = False) -> None:
        """Draw fresh weights from `generator`; `folded` builds it without batch norm, as it is exported."""
        super().__init__()
        self.graph = graph
        self.needs_head = False  # whether all but the last layer is trained already
        self.position = {node.name: i for i, node in enumerate(graph.priced)}
        self.last_reads = last_reads(graph)
        self.layers = nn.ModuleList(Layer(node, generator, folded=folded) for node in graph.priced)

    def layer(self, name: str) -> Layer:
        """Return the layer of a node."""
        layer = self.layers[self.position[name]]
        assert isinstance(layer, Layer)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) for images (N, C, H, W)."""
        return self.values(x)[self.graph.output.name]

    def values(
        self, x: Tensor, changed: Callable[[str, Tensor], Tensor] = _unchanged, kept: Collection[str] = ()
    ) -> dict[str, Tensor]:
        """Return what the output and some other nodes give, by name.

        Args:
            x: images (N, C, H, W).
            changed: called with a node's name and value; its readers see what that returns.
            kept: the other nodes; the rest of the values is dropped when nothing reads it any more.
        """
        values = {self.graph.input.name: x}
        for node in self.graph.nodes[1:]:
            if isinstance(node.op, Zero):
                values[node.name] = zeros(node, x)
            else:
                value = self.layer(node.name)(*(values[name] for name in node.inputs))
                values[node.name] = changed(node.name, value)
            for name in self.last_reads.get(node.name, ()):
                if name not in kept:
                    del values[name]
        return values

    @torch.no_grad()
    def inherit(self, trained: Mapping[str, NDArray[np.float32]]) -> None:
        """Copy weights and statistics of batch norm; what nothing is known of stays as it is.

        A smaller op takes the leading channels and the centre of the kernel, as in a supernet.

        Args:
            trained: by `<group>.<parameter>`, as `SearchSpace.trained` has them.
        """
        for node in self.graph.priced:
            for name, tensor in self.layer(node.name).tensors().items():
                if (known := trained.get(f"{node.weights}.{name}")) is not None:
                    tensor.copy_(leading_slice(torch.from_numpy(known), tuple(tensor.shape)))

    def grouped(self) -> dict[str, NDArray[np.float32]]:
        """Return copies of weights and statistics of batch norm, by `<group>.<parameter>`, as `inherit` takes them."""
        return {
            f"{node.weights}.{name}": np.ascontiguousarray(tensor.detach().cpu().numpy().copy())
            for node in self.graph.priced
            for name, tensor in self.layer(node.name).tensors().items()
        }

    @torch.no_grad()
    def merged(self) -> Network:
        """Return the network with its batch norm folded into the convolutions: the same logits in less time."""
        found = Network(self.graph, folded=True).to(next(self.parameters()).device)
        for mine, own in zip(self.layers, found.layers, strict=True):
            assert isinstance(mine, Layer) and isinstance(own, Layer)
            for name, tensor in mine.folded().items():
                own.weights[name].copy_(tensor)
        return found.to(memory_format=torch.channels_last).eval()

    def folded(self) -> dict[str, np.ndarray]:
        """Return the weights for export, batch norm folded: float32 arrays by `<node>.<parameter>`."""
        arrays = {}
        with torch.no_grad():
            for node in self.graph.priced:
                for name, tensor in self.layer(node.name).folded().items():
                    arrays[f"{node.name}.{name}"] = np.ascontiguousarray(tensor.float().cpu().numpy())
        return arrays


def fresh_network(space: SearchSpace, arch: Arch, seed: int, device: str) -> Network:
    """Return a network as its training begins: with the weights that its space comes with, else with drawn ones.

    Args:
        space: that the network is of.
        arch: its architecture.
        seed: of what is drawn; the same seed gives the same weights on every device.
        device: of torch, where to put it, channels last.
    """
    # Drawn on the CPU and moved then, so that every device begins with the same weights.
    network = Network(space.graph(arch), torch.Generator().manual_seed(seed))
    network.inherit(space.trained)
    network.needs_head = bool(space.trained) and f"{network.graph.output.weights}.weight" not in space.trained
    return network.to(device).to(memory_format=torch.channels_last)


def last_reads(graph: Graph) -> dict[str, list[str]]:
    """Return, by node, the values that no later node reads: from there on they need no memory."""
    # Readers come in order, so the last one overwrites the others.
    readers = {name: node.name for node in graph for name in node.inputs}
    found: dict[str, list[str]] = {}
    for value, reader in readers.items():
        found.setdefault(reader, []).append(value)
    return found


def reestimate_batch_norm(network: Network, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Set every running statistic to its mean over `batches` of images and labels.

    Statistics inherited from a supernet belong to the mixture of its paths; without this a subnet ranks by noise. The
    network is left in evaluation mode.
    """
    network.train()
    layers: Sequence[Layer] = [layer for layer in network.layers if isinstance(layer, Layer)]
    with torch.no_grad():
        for i, (x, _) in enumerate(batches):
            for layer in layers:
                layer.momentum = 1 / (i + 1)  # so that the running mean is the plain mean so far
            network(x)
    for layer in layers:
        layer.momentum = MOMENTUM
    network.eval()
