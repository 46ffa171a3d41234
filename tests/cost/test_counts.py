from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from edgenas.cost.counts import CountCost, Counts, count_ops, flop_counter, moved_bytes
from edgenas.graph.graph import Builder, Node
from edgenas.nn.network import Network
from tests._toys import Cell, Shared


def build(write) -> Node:
    g = Builder((16, 8, 8), (), {})
    return write(g, g.input)


# macs: one per multiply-add; params after folding; bytes: weights, inputs, outputs, 4 each.
TABLE = [
    (lambda g, x: g.conv("n", x, out=32, kernel=3, stride=2), 32 * 16 * 9 * 16, 32 * 16 * 9 + 32, 1024 + 32 * 16),
    (lambda g, x: g.depthwise("n", x, kernel=5), 16 * 25 * 64, 16 * 25 + 16, 2 * 1024),
    (lambda g, x: g.conv("n", x, out=8, act="hswish"), 8 * 16 * 64, 8 * 16 + 8, 1024 + 3 * 512),
    (lambda g, x: g.conv("n", x, out=8, act="relu6"), 8 * 16 * 64, 8 * 16 + 8, 1024 + 512),
    (lambda g, x: g.act("n", x, "relu"), 0, 0, 2 * 1024),
    (lambda g, x: g.act("n", x, "hswish"), 0, 0, 4 * 1024),
    (lambda g, x: g.pool("n", x, "max", stride=2), 0, 0, 1024 + 256),
    (lambda g, x: g.pool("n", x, "avg"), 0, 0, 2 * 1024),
    (lambda g, x: g.squeeze_excite("n", x, hidden=4), 2 * 4 * 16, 2 * 4 * 16 + 4 + 16, 3 * 1024),
    (lambda g, x: g.add("n", x, x), 0, 0, 3 * 1024),
    (lambda g, x: g.concat("n", x, x, x), 0, 0, 6 * 1024),
    (lambda g, x: g.global_pool("n", x), 0, 0, 1024 + 16),
    (lambda g, x: g.linear("n", g.global_pool("p", x), out=10), 160, 170, 16 + 10),
]


@pytest.mark.parametrize("write, macs, params, moved", TABLE)
def test_counts_by_hand(write, macs, params, moved):
    node = build(write)
    assert count_ops([node]) == {node.key: Counts(macs, params, 4 * (params + moved))}
    assert moved_bytes(node) == 4 * (params + moved)


def test_nodes_counted_together_are_counted_as_alone():
    nodes = [build(write) for write, *_ in TABLE]
    together = count_ops([*nodes, *nodes])
    assert list(together) == list(dict.fromkeys(node.key for node in nodes))
    for node in nodes:
        assert together[node.key] == count_ops([node])[node.key]


def test_what_is_free_is_not_counted():
    g = Builder((2, 4, 4), (), {})
    assert count_ops([g.input, g.zero("z", g.input)]) == {} and count_ops([]) == {}


@pytest.mark.parametrize("space, arch", [(Shared(), (1, 1, 1, 1)), (Cell(), (2, 0, 2)), (Cell(), (0, 0, 2))])
def test_costs_are_what_two_counters_find_in_the_network(space, arch):
    graph = space.graph(arch)
    network = Network(graph, folded=True).eval()
    x = torch.zeros(1, *space.shape)
    macs = CountCost("macs")(graph)
    assert macs == flop_counter(network, (x,)).total()
    with FlopCounterMode(display=False) as other, torch.no_grad():
        network(x)
    assert 2 * macs == pytest.approx(other.get_total_flops(), rel=0.01)
    assert CountCost("params")(graph) == sum(parameter.numel() for parameter in network.parameters())


def test_known_counts_are_not_counted_again(monkeypatch):
    node = build(TABLE[0][0])
    cost = CountCost("macs", {node.key: Counts(7, 8, 9)})
    monkeypatch.setattr("edgenas.cost.counts.count_ops", lambda nodes: pytest.fail("counted again"))
    assert cost.node_costs([node, node]).tolist() == [7, 7]


def test_counting_is_remembered_but_not_shared():
    known: dict[str, Counts] = {}
    node = build(TABLE[0][0])
    cost = CountCost("macs", known)
    first = cost.node_costs([node])
    assert node.key in cost.known and known == {}
    np.testing.assert_array_equal(cost.node_costs([node]), first)
