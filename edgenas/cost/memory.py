"""Peak activation memory by liveness: of one program, and of many architectures at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgenas.cost.base import CostModel
from edgenas.graph import Arch, Graph, Node
from edgenas.ops import Add, Choose, Concat, Linear
from edgenas.spaces._base import SearchSpace, Statics

Rows = NDArray[np.int64]
FEW = 24  # architectures of equal statics, whose graphs are derived sooner than they are looked at together
ZEROS = -1  # in place of a node's row: zeros that no node has written


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

    def many(self, space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
        """Peaks (len(archs),), vectorised over the architectures that share their statics."""
        peaks = np.empty(len(archs))
        groups: dict[Statics, list[int]] = {}
        for i, arch in enumerate(archs):
            groups.setdefault(space.statics(arch), []).append(i)
        for statics, members in groups.items():
            if len(members) < FEW:
                peaks[members] = super().many(space, [archs[i] for i in members])
                continue
            peaks[members] = self.element_bytes * _peaks(space, statics, [archs[i] for i in members])
        return peaks


def _peaks(space: SearchSpace, statics: Statics, archs: Sequence[Arch]) -> NDArray[np.float64]:
    """Peaks (n,) in elements of `n` architectures with these statics.

    Row r of the nodes that any of them keeps runs in slot 2r + 1; in slot 2r zeros are written that it has to read.
    """
    supergraph = space.supergraph(statics)
    live = space.live(statics, archs).T.copy()
    live[0] = True  # the image is there, read or not
    # A sum with zeros is no live node, but stands for its other term.
    sums = np.array([isinstance(node.op, Add) for node in supergraph])
    kept = np.flatnonzero(live.any(axis=1) | sums).tolist()
    nodes, runs = [supergraph.nodes[i] for i in kept], live[kept]
    runs[[isinstance(node.op, Choose) for node in nodes]] = False  # one of several values, none of its own
    rows = {node.name: row for row, node in enumerate(nodes)}
    options = np.asarray(archs, dtype=np.int64).T
    holders = _holders(nodes, rows, {name: options[i] for name, i in space.index.items()}, len(archs))
    reads = [
        (row, rows.get(source, ZEROS), math.prod(shape))
        for row, node in enumerate(nodes)
        for source, shape in zip(node.inputs, node.in_shapes, strict=True)
    ]
    readers, sources, in_sizes = np.array(reads, dtype=np.int64).reshape(-1, 3).T
    output = holders[rows.get(supergraph.output.name, ZEROS)]
    sizes = np.array([math.prod(node.shape) for node in nodes])

    end = 2 * len(nodes)
    last_read = np.zeros(runs.shape, dtype=np.int64)
    changes = np.zeros((end + 2, len(archs)))  # of what is held, from one slot to the next
    changes[1:end:2] = runs * sizes[:, None]
    changes[end] = (output == ZEROS) * math.prod(supergraph.output.shape)
    last_read[np.maximum(output, 0), np.arange(len(archs))] = end  # in place of an output of zeros the image is read
    held, reading = holders[sources], runs[readers]
    read, arch = np.nonzero(reading & (held != ZEROS))
    np.maximum.at(last_read, (held[read, arch], arch), 2 * readers[read] + 1)
    read, arch = np.nonzero(reading & (held == ZEROS))
    slot = 2 * readers[read]
    np.maximum.at(last_read[0], arch, slot)
    np.add.at(changes, (slot, arch), in_sizes[read])
    np.subtract.at(changes, (slot + 2, arch), in_sizes[read])
    row, arch = np.nonzero(runs)
    np.subtract.at(changes, (last_read[row, arch] + 1, arch), sizes[row])
    peaks: NDArray[np.float64] = changes.cumsum(axis=0).max(axis=0)
    return peaks


def _holders(nodes: Sequence[Node], rows: Mapping[str, int], options: Mapping[str, Rows], n: int) -> Rows:
    """Which row of `nodes` has written each node's value: (nodes + 1, n), all ZEROS in the last; as `graph.derive`.

    `options` holds the option index of every choice (n,).
    """
    held = np.repeat(np.arange(len(nodes) + 1)[:, None], n, axis=1)
    held[-1] = ZEROS
    maybe_zeros = {ZEROS}
    for row, node in enumerate(nodes):
        sources = [rows.get(name, ZEROS) for name in node.inputs]
        if isinstance(node.op, Choose):
            picked = options[node.op.choice]
            held[row] = ZEROS
            for option, source in zip(node.op.options, sources, strict=True):
                np.copyto(held[row], held[source], where=picked == option)
        elif maybe_zeros.isdisjoint(sources) or isinstance(node.op, Concat | Linear):
            continue
        elif isinstance(node.op, Add):
            x, y = held[sources]
            held[row] = np.where(x == ZEROS, y, np.where(y == ZEROS, x, row))
        else:
            held[row, held[sources[0]] == ZEROS] = ZEROS
        if (held[row] == ZEROS).any():
            maybe_zeros.add(row)
    return held
