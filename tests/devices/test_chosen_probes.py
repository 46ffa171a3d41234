"""Ops and networks that stand for those of a large space."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.cost.counts import moved_bytes
from edgenas.devices.chosen_probes import board_minutes, board_ms, chosen_nets, chosen_ops
from edgenas.graph.ops import Conv
from edgenas.latency.missing_ops import FEWEST_ROWS, op_kind
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import distinct_nodes
from tests._toys import Shared


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return build_space("mbconv", (3, 64, 64), 10)


def kinds(nodes) -> dict[str, int]:
    """How many ops there are of each kind, kernel and stride."""
    found: dict[str, int] = {}
    for node in nodes:
        name = f"{node.op.kernel} {node.op.stride} {node.op.act}" if isinstance(node.op, Conv) else ""
        found[f"{op_kind(node.key)} {name}"] = found.get(f"{op_kind(node.key)} {name}", 0) + 1
    return found


@pytest.mark.parametrize("most", [150, 250])
def test_every_kind_of_op_is_there_often_enough_to_estimate_the_rest(space, rng, most):
    nodes = distinct_nodes(space)
    chosen = chosen_ops(space, nodes, most, rng)
    assert len(chosen) == len({node.key for node in chosen}) == most < len(nodes)
    found = kinds(chosen)
    assert all(found.get(kind, 0) >= min(FEWEST_ROWS, count) for kind, count in kinds(nodes).items())


def test_the_smallest_and_the_largest_are_nearly_reached(space, rng):
    nodes = distinct_nodes(space)
    chosen = chosen_ops(space, nodes, 250, rng)
    for kind in ("pointwise", "depthwise"):
        times = [[board_ms(node) for node in part if op_kind(node.key) == kind] for part in (nodes, chosen)]
        assert min(times[1]) < 2 * min(times[0]) and max(times[1]) > 0.5 * max(times[0])


def test_a_small_space_is_measured_whole(rng):
    nodes = distinct_nodes(Shared())
    assert chosen_ops(Shared(), nodes, len(nodes), rng) == nodes


def test_the_same_seed_chooses_the_same(space):
    nodes = distinct_nodes(space)
    first, second = ([n.key for n in chosen_ops(space, nodes, 60, np.random.default_rng(3))] for _ in range(2))
    assert first == second
    first, second = (chosen_nets(space, 20, np.random.default_rng(3)) for _ in range(2))
    assert first == second


def test_networks_are_both_ends_and_as_many_of_each_shape(space, rng):
    shapes = list(space.all_statics())
    archs = chosen_nets(space, 3 * len(shapes) + 2, rng)
    assert len(archs) == len(set(archs)) == 3 * len(shapes) + 2
    counts = [sum(space.statics(arch) == statics for arch in archs[2:]) for statics in shapes]
    assert min(counts) >= 2 and max(counts) <= 4
    bytes_moved = [sum(map(moved_bytes, space.graph(arch).priced)) for arch in archs]
    assert bytes_moved[0] == min(bytes_moved) and bytes_moved[1] == max(bytes_moved)


def test_a_space_of_few_networks_gives_those_that_there_are(rng):
    assert len(chosen_nets(Shared(), 1000, rng)) <= 32


def test_more_takes_longer(space):
    nodes = distinct_nodes(space)
    graphs = [space.graph(tuple(0 for _ in space.choices))]
    minutes = board_minutes(nodes[:100], graphs, 1)
    assert 0.1 < minutes < board_minutes(nodes, graphs, 1) < board_minutes(nodes, graphs, 2)
