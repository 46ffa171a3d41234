"""Synthetic latency tables: times follow a known law of counts, so no device is needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from numpy.random import Generator

from edgenas.cost.counts import moved_bytes
from edgenas.graph.graph import Arch, Node
from edgenas.graph.ops import Conv
from edgenas.latency.table import LatencyTable, NetRow, OpRow
from edgenas.spaces.base import SearchSpace

HEADER = {"unit": "ms", "device": "bench", "runtime": "onnxruntime", "threads": "1", "precision": "fp32"}


def op_row(node: Node) -> OpRow:
    """ms = 1 per 10^7 MACs + 1 per 10^8 bytes + 0.004."""
    params = sum(math.prod(shape) for shape in node.parameters.values())
    macs = params * math.prod(node.shape[1:]) if isinstance(node.op, Conv) else params
    ms = macs / 1e7 + moved_bytes(node) / 1e8 + 0.004
    return OpRow(ms, 1.1 * ms, 100, macs, params, moved_bytes(node))


def op_rows(nodes: Iterable[Node]) -> dict[str, OpRow]:
    return {node.key: op_row(node) for node in nodes if node.priced}


def net_rows(space: SearchSpace, archs: Sequence[Arch], rng: Generator, *, noise: float = 0.0) -> list[NetRow]:
    """Whole networks: 0.8 of the sum of their ops, 0.002 ms a node, 0.03 ms a call, and relative noise."""
    rows = []
    for arch in archs:
        priced = space.graph(arch).priced
        ms = (0.8 * sum(op_row(node).ms for node in priced) + 0.002 * len(priced) + 0.03) * (
            1 + noise * rng.standard_normal()
        )
        rows.append(NetRow(space.spec, space.code(arch), ms, 1.1 * ms, 100))
    return rows


def table_of(space: SearchSpace, nets: Iterable[NetRow] = ()) -> LatencyTable:
    """Rows for every op of the space."""
    nodes = [node for statics in space.all_statics() for node in space.supergraph(statics)]
    return LatencyTable(HEADER, op_rows(nodes), tuple(nets))
