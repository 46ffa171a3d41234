"""Which ops and networks of a large space a kit measures: those that tell most about the rest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from edgenas.cost.bounds import cheapest_and_largest
from edgenas.cost.counts import CountCost, moved_bytes, parameters
from edgenas.devices.runner import ROUNDS
from edgenas.graph.graph import Arch, Graph, Node
from edgenas.graph.ops import Conv
from edgenas.latency.missing_ops import FEWEST_ROWS, op_kind
from edgenas.runtimes.timing import ROUND_MS, SESSIONS, WARM_UP_MS, WARM_UP_RUNS
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import sample

# What a Raspberry Pi 4 does on one thread in fp32, by onnxruntime: MACs, and bytes that it moves.
BOARD_MACS_PER_MS, BOARD_BYTES_PER_MS = 5e6, 3e6
OPENING_MS = 50.0  # of one session there
# Networks by which it is judged how much of the space's latency an op has.
JUDGED = 300


def board_ms(node: Node) -> float:
    """Return about how long an op takes on a small board, in ms: as long as its MACs, or as what it moves."""
    # fvcore's counts take seconds for a large space; here, each weight meets each place of the output once.
    macs = parameters(node) * math.prod(node.shape[1:])
    return max(macs / BOARD_MACS_PER_MS, moved_bytes(node) / BOARD_BYTES_PER_MS)


def board_minutes(ops: Sequence[Node], nets: Sequence[Graph], precisions: int) -> float:
    """Return about how long a kit takes on a small board, in minutes, where figures repeat well.

    Args:
        ops: that are measured.
        nets: that are measured.
        precisions: how many; int8 counts as long as fp32.
    """
    calls = [board_ms(node) for node in ops]
    calls += [sum(board_ms(node) for node in graph.priced) for graph in nets]
    rounds = ROUNDS * sum(max(ROUND_MS, ms) for ms in calls)
    opened = SESSIONS * sum(OPENING_MS + max(WARM_UP_MS, ms) + WARM_UP_RUNS * ms for ms in calls)
    return precisions * (rounds + opened) / 60_000


def chosen_ops(space: SearchSpace, nodes: Sequence[Node], most: int, rng: Generator) -> list[Node]:
    """Return at most `most` nodes: some of each kind, and then those that are far from all others and often used.

    A kind is of one op, kernel, stride, activation and way of grouping. Within a kind, the next is the op that is
    farthest from those that were chosen, by the logarithms of its counts and sizes, and counts as much as its share of
    random networks (farthest-first traversal, Gonzalez, 1985, with the weights of k-means++).

    Args:
        space: whose ops they are.
        nodes: its ops, once each.
        most: how many.
        rng: draws the networks.
    """
    if len(nodes) <= most:
        return list(nodes)
    places = np.log1p([_sizes(node) for node in nodes])
    weights = np.sqrt(_shares(space, nodes, rng))
    kinds = np.unique([_kind(node) for node in nodes], return_inverse=True)[1]
    # Unlike kinds say nothing of each other: until a kind has its first op, all its ops are as far as can be.
    distances = np.full(len(nodes), 1e6)
    chosen: list[int] = []

    def choose(candidates: np.ndarray) -> None:
        i = int(candidates[np.argmax((distances * weights)[candidates])])
        chosen.append(i)
        own = kinds == kinds[i]
        distances[own] = np.minimum(distances[own], np.square(places[own] - places[i]).sum(axis=1))

    # As many of each kind as an estimate of the others takes; the kinds that count most first.
    order = sorted(set(kinds.tolist()), key=lambda kind: -float(np.square(weights[kinds == kind]).sum()))
    for _ in range(FEWEST_ROWS):
        for kind in order:
            left = np.setdiff1d(np.flatnonzero(kinds == kind), chosen)
            if len(left) and len(chosen) < most:
                choose(left)
    while len(chosen) < most:
        choose(np.setdiff1d(np.arange(len(nodes)), chosen))
    return [nodes[i] for i in sorted(chosen)]


def chosen_nets(space: SearchSpace, count: int, rng: Generator) -> list[Arch]:
    """Return at most `count` networks, none twice: both ends, then random ones, of each combination of shape choices.

    Args:
        space: perhaps narrowed to some of its options.
        count: how many networks are wanted.
        rng: draws the networks.
    """
    shapes = [_with_statics(space, statics) for statics in space.all_statics()]
    smallest, largest = cheapest_and_largest(space, CountCost("bytes"))
    found = {smallest: None, largest: None}
    # Small spaces repeat themselves: ten draws for each, and fewer networks where even these are too few.
    for i in range(10 * count):
        if len(found) >= count:
            break
        found[sample(shapes[i % len(shapes)], rng)] = None
    return list(found)[:count]


def _with_statics(space: SearchSpace, statics: Arch) -> SearchSpace:
    options = zip(space.static_indices, statics, strict=True)
    return space.restrict({space.choices[i].name: [option] for i, option in options})


def _kind(node: Node) -> str:
    """Name the kind of an op: what decides which kernel a runtime takes, beside sizes."""
    if not isinstance(node.op, Conv):
        return op_kind(node.key)
    op = node.op
    return f"{op_kind(node.key)} k{op.kernel} s{op.stride} d{op.dilation} {op.act} {op.groups > 1}"


def _sizes(node: Node) -> tuple[float, ...]:
    """Return what the time of an op depends on, beside its kind."""
    channels = node.in_shapes[0][0] if node.in_shapes else 1
    return (1e6 * board_ms(node), moved_bytes(node), parameters(node), channels, *node.shape[:2])


def _shares(space: SearchSpace, nodes: Sequence[Node], rng: Generator) -> np.ndarray:
    """Return the share (n,) of the time of random networks that each op has; none has less than a hundredth of even."""
    used: Counter[str] = Counter()
    for _ in range(JUDGED):
        used.update(node.key for node in space.graph(sample(space, rng)).priced)
    ms = np.array([used[node.key] * board_ms(node) for node in nodes])
    shares: np.ndarray = np.maximum(ms / ms.sum(), 0.01 / len(nodes))
    return shares
