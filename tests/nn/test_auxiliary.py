"""The auxiliary head: any value in, logits out, and gone from what is delivered."""

from __future__ import annotations

import pytest
import torch

from edgenas.nn.auxiliary import AuxiliaryHead, TrainedNetwork, network_state
from edgenas.nn.network import Network
from tests._toys import Shared

GRAPH = Shared().graph((0, 1, 0, 1))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_a_head_takes_values_of_any_side(side):
    assert AuxiliaryHead(5, 3, generator())(torch.randn(4, 5, side, side)).shape == (4, 3)


def test_the_logits_are_the_network_s_and_its_head_s():
    network = Network(GRAPH, generator())
    trained, x = TrainedNetwork(network, "stem", generator()), torch.randn(4, 3, 8, 8)
    logits, auxiliary = trained(x)
    torch.testing.assert_close(logits, network(x))
    assert auxiliary is not None and auxiliary.shape == logits.shape
    torch.testing.assert_close(auxiliary, trained.head(network.values(x, kept=("stem",))["stem"]))


def test_without_a_node_to_read_there_is_no_head():
    trained = TrainedNetwork(Network(GRAPH, generator()), None)
    assert trained.head is None and trained(torch.randn(4, 3, 8, 8))[1] is None


def test_the_head_trains_what_is_before_it_and_nothing_behind():
    trained = TrainedNetwork(Network(GRAPH, generator()), "stem", generator())
    trained(torch.randn(4, 3, 8, 8))[1].sum().backward()
    assert trained.network.layer("stem").weights["weight"].grad is not None
    assert trained.network.layer("classifier").weights["weight"].grad is None


def test_the_state_of_the_network_is_read_from_both():
    trained = TrainedNetwork(Network(GRAPH, generator()), "stem", generator())
    own = trained.network.state_dict()
    for state in (own, trained.state_dict()):
        found = network_state(state)
        assert list(found) == list(own)
        assert all(torch.equal(found[name], own[name]) for name in own)
