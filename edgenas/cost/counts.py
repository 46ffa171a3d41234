"""MACs and parameters as fvcore counts them, and the bytes that kernels move."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.cost.base import AdditiveCost
from edgenas.graph.graph import Node
from edgenas.graph.ops import FUSED_ACTIVATIONS, Act, Conv, SqueezeExcite

FLOAT_BYTES = 4  # of a float32: counts are free of precision, as op keys are
# What fvcore would count, or warn of, and what is no multiply-add.
UNCOUNTED = (
    *"add add_ sub neg mul pad slice mean max_pool2d avg_pool2d".split(),
    *"sigmoid hardsigmoid hardswish silu hardtanh relu relu6".split(),
)


@dataclass(frozen=True)
class Counts:
    """Counts of one node: MACs, parameters after folding, and bytes read and written as float32.

    MACs are multiplications with their additions, which fvcore counts as one.
    """

    macs: float
    params: float
    bytes: float


def parameters(node: Node) -> int:
    """Return how many parameters a node has after batch norm is folded."""
    return sum(math.prod(shape) for shape in node.parameters.values())


def moved_bytes(node: Node) -> float:
    """Return the bytes of weights, inputs and outputs of a node's kernels; an unfused activation moves its own."""
    inputs = sum(math.prod(shape) for shape in node.in_shapes)
    output = math.prod(node.shape)
    moved = parameters(node) + inputs + output
    if isinstance(node.op, SqueezeExcite):
        moved += inputs  # the mean and the product each read the whole tensor
    if isinstance(node.op, Conv | Act) and node.op.act not in FUSED_ACTIVATIONS:
        moved += 2 * output
    return float(FLOAT_BYTES * moved)


def count_ops(nodes: Iterable[Node]) -> dict[str, Counts]:
    """Return counts by node key. Distinct keys are traced once, all together: fvcore's trace is what takes time."""
    distinct = {node.key: node for node in nodes if node.priced}
    macs = _traced_macs(list(distinct.values()))
    return {key: Counts(macs[i], parameters(node), moved_bytes(node)) for i, (key, node) in enumerate(distinct.items())}


def _traced_macs(nodes: Sequence[Node]) -> list[float]:
    """Return the MACs of each node, by fvcore on a module that holds one folded layer per node."""
    if not nodes:
        return []
    # `predict` works from the counts in a table, without torch.
    import torch

    from edgenas.nn.network import Layer

    class Bag(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            # Folded, because fvcore counts batch norm, which an exported file does not have.
            self.layers = torch.nn.ModuleList(Layer(node, folded=True) for node in nodes)

        def forward(self, *xs: torch.Tensor) -> list[torch.Tensor]:
            rest = list(xs)
            return [
                layer(*(rest.pop(0) for _ in node.in_shapes)) for layer, node in zip(self.layers, nodes, strict=True)
            ]

    inputs = tuple(torch.zeros(1, *shape) for node in nodes for shape in node.in_shapes)
    with torch.no_grad():
        counter = flop_counter(Bag().eval(), inputs)
        by_module = counter.by_module()
    return [float(by_module[f"layers.{i}"]) for i in range(len(nodes))]


def flop_counter(module: object, inputs: tuple[object, ...]) -> Any:
    """Return fvcore's FlopCountAnalysis, told that sums, products, means and activations are no MACs.

    Args:
        module: a torch module.
        inputs: the tensors that it is traced with.
    """
    with warnings.catch_warnings():
        # The import of fvcore warns of `torch.jit.script`, which is no fault of the caller's.
        warnings.filterwarnings("ignore", message=".*torch.jit.*")
        from fvcore.nn import FlopCountAnalysis

        counter = FlopCountAnalysis(module, inputs)
    counter.set_op_handle(**{f"aten::{name}": None for name in UNCOUNTED})
    counter.uncalled_modules_warnings(False).tracer_warnings("none")
    return counter


class CountCost(AdditiveCost):
    """The sum of one count over the nodes: `macs`, `params` or `bytes`.

    >>> from edgenas.spaces.build import build_space
    >>> space = build_space("nasbench201", (3, 32, 32), 10)
    >>> arch = space.parse("|skip_connect~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|skip_connect~2|")
    >>> CountCost("params")(space.graph(arch))
    100506.0
    """

    def __init__(self, metric: str, known: Mapping[str, Counts] | None = None) -> None:
        """Prepare to sum one count.

        Args:
            metric: `macs`, `params` or `bytes`.
            known: counts by key, for example those in a latency table; what they lack is counted when first met.
        """
        self.metric = metric
        self.known = dict(known or {})

    def node_costs(self, nodes: Sequence[Node]) -> np.ndarray:
        """Return the count of each node."""
        if self.metric == "bytes":  # shapes are enough: no torch needed
            return np.array([moved_bytes(node) for node in nodes])
        if self.metric == "params":
            return np.array([float(parameters(node)) for node in nodes])
        if missing := [node for node in nodes if node.key not in self.known]:
            self.known |= count_ops(missing)
        return np.array([getattr(self.known[node.key], self.metric) for node in nodes])
