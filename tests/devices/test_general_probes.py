"""The general probe set: every kind, the sizes it promises, and networks that can be rebuilt from a table."""

from collections import Counter
from math import prod

import pytest

from edgenas.devices import general_probes as general
from edgenas.devices.general_probes import general_nets, general_ops, node_macs
from edgenas.latency.missing_ops import op_kind
from edgenas.spaces.build import parse_spec


@pytest.mark.parametrize("limit, seed", [(400, 0), (400, 1), (60, 2), (12, 3)])
def test_ops_are_distinct_and_no_more_than_asked_for(limit, seed):
    keys = [node.key for node in general_ops(limit, seed)]
    assert len(keys) == len(set(keys)) == limit
    assert keys == [node.key for node in general_ops(limit, seed)]


@pytest.mark.parametrize("limit", [400, 60])
def test_ops_are_of_every_kind_and_of_all_sizes(limit):
    nodes = general_ops(limit)
    kinds = Counter(op_kind(node.key) for node in nodes)
    assert set(kinds) == {*"pointwise depthwise conv se act add concat pool global_pool linear".split()}
    work = [node_macs(node) for node in nodes if node.op.kind == "conv"]
    assert min(work) < 1e5 and 3e7 < max(work) <= general.MOST_MACS
    sides = {node.in_shapes[0][1] for node in nodes}
    assert min(side for side in sides if side > 1) <= 7 and max(sides) >= 160
    assert all(sum(map(prod, node.parameters.values())) <= general.MOST_PARAMS for node in nodes)
    assert any(node.in_shapes[0][0] % 8 for node in nodes if op_kind(node.key) == "pointwise")


def test_another_seed_gives_other_ops():
    first, second = ({node.key for node in general_ops(100, seed)} for seed in (0, 1))
    assert len(first & second) < 20


def test_networks_spread_over_sizes_and_come_back_from_their_row():
    nets = general_nets(20)
    assert 15 <= len(nets) <= 20 and len({arch for _, arch in nets}) == len(nets)
    work = []
    for space, arch in nets:
        graph = parse_spec(space.spec).graph(space.parse(space.code(arch)))
        assert [node.key for node in graph.priced] == [node.key for node in space.graph(arch).priced]
        assert graph.output.shape == (1000, 1, 1)
        work.append(sum(map(node_macs, graph.priced)))
    assert work == sorted(work) and work[0] < 5e7 and 5e8 < work[-1] <= general.MOST_NET_MACS


def test_every_block_is_met():
    names = {node.name.split(".")[-1] for space, arch in general_nets(40) for node in space.graph(arch)}
    assert {"conv", "second", "reduce", "depthwise", "se", "concat", "shortcut", "pool", "head"} <= names
