"""Peak activation memory by liveness."""

from __future__ import annotations

import math

from edgenas.cost.base import CostModel
from edgenas.graph import Graph


class PeakBytes(CostModel):
    """Largest sum of activations that must exist at once, in bytes.

    Nodes run in the graph's order; a value lives from the node that writes it to the last that reads it, and no node
    writes over its input. Weights are not counted.
    """

    metric = "peak_bytes"

    def __init__(self, element_bytes: int = 4) -> None:
        """4 bytes an element in float32, 1 in int8."""
        self.element_bytes = element_bytes

    def __call__(self, graph: Graph) -> float:
        """Peak over the run."""
        last_reader = {name: i for i, node in enumerate(graph) for name in node.inputs}
        ends: dict[int, int] = {}
        held = peak = 0
        for i, node in enumerate(graph):
            size = math.prod(node.shape)
            held += size
            peak = max(peak, held)
            last = last_reader.get(node.name, len(graph.nodes))
            ends[last] = ends.get(last, 0) + size
            held -= ends.pop(i, 0)
        return float(peak * self.element_bytes)
