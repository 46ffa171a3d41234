"""Peak activation memory by liveness."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgenas.cost.base import CostModel
from edgenas.graph.graph import Arch, Graph
from edgenas.graph.ops import Add, Choose, Concat, Linear
from edgenas.spaces.base import SearchSpace, Statics

FEW = 16  # graphs: up to here, to derive each takes less time than to walk the supergraph


class PeakBytes(CostModel):
    """Largest sum of activations that must exist at once, in bytes.

    Nodes run in the graph's order; a value lives from the node that writes it to the last that reads it, and no node
    writes over its input. Weights are not counted.
    """

    metric = "peak_bytes"

    def __init__(self, element_bytes: int = 4) -> None:
        """Prepare to count elements of `element_bytes`: 4 in float32, 1 in int8."""
        self.element_bytes = element_bytes

    def __call__(self, graph: Graph) -> float:
        """Return the peak over the run."""
        last_reader = {name: i for i, node in enumerate(graph) for name in node.inputs}
        ends: dict[int, int] = {}
        held = peak = 0
        for i, node in enumerate(graph):
            size = math.prod(node.shape)
            held += size
            peak = max(peak, held)
            # What nobody reads, such as the output, is held to the end.
            last = last_reader.get(node.name, len(graph.nodes))
            ends[last] = ends.get(last, 0) + size
            held -= ends.pop(i, 0)
        return float(peak * self.element_bytes)

    def many(self, space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
        """Return the peaks (n,) of architectures; those of many by one walk over the supergraph that they share."""
        if len(archs) <= FEW:
            return super().many(space, archs)
        rows, peaks = space.rows(archs), np.empty(len(archs))
        for statics, members in space.by_statics(rows).items():
            peaks[members] = self.element_bytes * _Walk(space, statics, rows[members]).peak()
        return peaks


class _Walk:
    """All architectures of one supergraph at once; `rows` (n, choices) are their options.

    Each node has a step. Before those that read zeros, as `derive` writes them, come the steps of the zeros.
    """

    def __init__(self, space: SearchSpace, statics: Statics, rows: NDArray[np.uint8]) -> None:
        self.graph, self.index, self.rows = space.supergraph(statics), space.index, rows
        conditions = space.conditions(statics)
        self.live, self.nonzero = conditions.nodes(rows).T, conditions.values(rows).T
        widths = [1 + len(node.inputs) * isinstance(node.op, Concat | Linear) for node in self.graph]
        self.steps = np.cumsum(widths) - 1
        self.end = int(self.steps[-1]) + 2  # after the zeros that stand for an output of zeros
        # By step: elements that are written, less those that the step before read last.
        self.changes = np.zeros((self.end + 2, len(rows)))

    def peak(self) -> NDArray[np.float64]:
        """Return the most elements (n,) that are held at once."""
        last = self._last_readers()
        # A Choose passes on the value that it takes, and writes none.
        kept = self.live & np.array([[not isinstance(node.op, Choose)] for node in self.graph])
        kept[0] = True
        last[0][last[0] < 0] = self.end  # an input that nobody reads stays
        sizes = np.array([[math.prod(node.shape)] for node in self.graph]) * kept
        self.changes[self.steps] += sizes
        columns = np.arange(len(self.rows))
        # Places in the flattened table of changes: one pass for all nodes and architectures.
        freed = np.bincount((columns + (last + 1) * len(columns))[kept], sizes[kept], self.changes.size)
        self.changes -= freed.reshape(self.changes.shape)
        peak: NDArray[np.float64] = self.changes.cumsum(axis=0).max(axis=0)
        return peak

    def _last_readers(self) -> NDArray[np.intp]:
        """Return the step (nodes, n) that reads each value last, through choices and sums of one term; -1 if none."""
        place = {node.name: i for i, node in enumerate(self.graph)}
        last = np.full(self.live.shape, -1, dtype=np.intp)
        last[-1] = self.end
        self._zeros(last[0], self.end - 1, self.end, math.prod(self.graph.output.shape), ~self.nonzero[-1])
        used = set(np.flatnonzero(self.live.any(axis=1)).tolist())
        for i, node in reversed(list(enumerate(self.graph))):
            # A sum that is live nowhere may still pass on its only term.
            if i not in used and not isinstance(node.op, Add):
                continue
            for k, source in enumerate(place[name] for name in node.inputs):
                until, reads = self.steps[i], self.live[i]
                if isinstance(node.op, Choose):
                    # What is read through a choice is held until the choice itself is read last.
                    until, reads = last[i], self.rows[:, self.index[node.op.choice]] == node.op.options[k]
                elif isinstance(node.op, Add):
                    until, reads = np.where(reads, until, last[i]), np.ones_like(reads)
                elif isinstance(node.op, Concat | Linear):
                    size = math.prod(node.in_shapes[k])
                    self._zeros(last[0], until - len(node.inputs) + k, until, size, reads & ~self.nonzero[source])
                np.maximum(last[source], until, out=last[source], where=reads)
        return last

    def _zeros(self, input_last: NDArray[np.intp], step: int, until: int, size: int, where: NDArray[np.bool_]) -> None:
        """Count zeros that are written at a step, from the input for its batch, and held `until` another.

        Args:
            input_last: the last step that reads the input, (n,); updated.
            step: when the zeros are written.
            until: the last step that reads them.
            size: elements of the zeros.
            where: architectures that write them, (n,).
        """
        self.changes[step] += size * where
        self.changes[until + 1] -= size * where
        np.maximum(input_last, step, out=input_last, where=where)
