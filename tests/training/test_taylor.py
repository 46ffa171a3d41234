"""Importance of channels: what a channel matters is what its absence would change."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from edgenas.nn.network import fresh_network
from edgenas.testing.toy import ToySpace
from edgenas.training.taylor import channel_importance


def batches(count: int = 4):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield torch.randn(8, 3, 8, 8, generator=generator), torch.randint(0, 3, (8,), generator=generator)


def network():
    space = ToySpace(3)
    return fresh_network(space, (0,) * len(space.choices), 0, "cpu")


def test_there_is_a_number_for_each_channel_that_is_normalised():
    net = network()
    found = channel_importance(net, batches())
    expected = {n.weights: len(net.layer(n.name).weights["scale"]) for n in net.graph.priced if n.op.kind == "conv"}
    assert {group: len(row) for group, row in found.items()} == expected
    assert all(x >= 0 for row in found.values() for x in row) and not net.training


def test_a_channel_that_nothing_comes_of_does_not_matter():
    net = network()
    node = next(node for node in net.graph.priced if "scale" in net.layer(node.name).weights)
    with torch.no_grad():
        for name in ("scale", "shift"):
            net.layer(node.name).weights[name][2] = 0.0
    row = channel_importance(net, batches())[node.weights]
    assert row[2] == 0.0 and sum(row) > 0


def test_it_is_the_square_of_what_a_gate_would_feel():
    """The derivative of the loss by a factor on scale and shift of one channel, by finite differences."""
    net = network().double()
    node = next(node for node in net.graph.priced if "scale" in net.layer(node.name).weights)
    x, y = next(batches())
    x = x.double()
    found = channel_importance(net, [(x, y)])[node.weights][1]
    weights, losses = net.layer(node.name).weights, []
    kept = {name: weights[name].detach().clone() for name in ("scale", "shift")}
    for gate in (1 - 1e-6, 1 + 1e-6):
        with torch.no_grad():
            for name, tensor in kept.items():
                weights[name].copy_(tensor)
                weights[name][1] *= gate
            losses.append(float(F.cross_entropy(net(x), y)))
    assert abs(((losses[1] - losses[0]) / 2e-6) ** 2 - found) < 1e-4 * max(found, 1e-6)
