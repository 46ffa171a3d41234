from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.graph.ops import Add
from edgenas.nn.auxiliary import TrainedNetwork, network_state
from edgenas.nn.drop_path import DropPath
from edgenas.nn.network import Network
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.training.settings import Settings
from edgenas.training.train import regularised, supervised

SPACES = ("darts", "nasbench201", "mbconv")


def graph_of(name: str, seed: int = 0):
    space = build_space(name, (3, 32, 32), 10)
    smallest = {space.choices[i].name: [0] for i in space.static_indices}
    return space.restrict(smallest).graph(sample(space.restrict(smallest), np.random.default_rng(seed)))


@pytest.mark.parametrize("name", SPACES)
def test_only_branches_of_sums_are_dropped_never_a_shortcut(name):
    graph = graph_of(name)
    branches = DropPath(graph).branches
    assert branches
    for branch in branches:
        readers = [node for node in graph if branch in node.inputs]
        assert len(readers) == 1 and isinstance(readers[0].op, Add)


def test_as_many_are_dropped_as_asked_and_the_mean_stays():
    drop = DropPath(graph_of("darts"))
    drop.draw(0.3, 4000, torch.device("cpu"), np.random.default_rng(0))
    ones = torch.ones(4000, 2, 3, 3)
    values = torch.stack([drop(name, ones) for name in drop.branches])
    assert values.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    per_branch = values.mean((1, 2, 3, 4))
    assert (per_branch - 1).abs().max() < 0.05 and drop("stem", ones) is ones


def test_nothing_is_dropped_before_a_draw_or_at_zero():
    drop = DropPath(graph_of("darts"))
    value = torch.ones(2, 1, 1, 1)
    assert drop(drop.branches[0], value) is value
    drop.draw(0.0, 2, torch.device("cpu"), np.random.default_rng(0))
    assert drop(drop.branches[0], value) is value


def test_a_draw_is_its_generators():
    drop, x = DropPath(graph_of("darts")), torch.ones(16, 1, 1, 1)

    def drawn(seed: int) -> torch.Tensor:
        drop.draw(0.5, 16, torch.device("cpu"), np.random.default_rng(seed))
        return torch.stack([drop(name, x) for name in drop.branches])

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))


def test_without_drops_the_network_is_what_it_was_and_the_head_learns_from_its_node():
    graph = graph_of("darts")
    network = Network(graph, torch.Generator().manual_seed(0))
    trained = TrainedNetwork(network, "s3.r", torch.Generator().manual_seed(1))
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    logits, auxiliary = trained(x)
    assert torch.equal(logits, network(x)) and auxiliary.shape == logits.shape == (4, 10)
    auxiliary.square().sum().backward()
    before, behind = network.layer("stem").weights["weight"], network.layer("classifier").weights["weight"]
    assert before.grad is not None and before.grad.abs().sum() > 0 and behind.grad is None


def test_with_nothing_to_drop_and_no_head_gradients_are_the_plain_ones():
    graph = graph_of("nasbench201")
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    y, gradients = torch.arange(8) % 10, []
    for wrapped in (False, True):
        network = Network(graph, torch.Generator().manual_seed(0))
        settings = Settings(1)
        module = TrainedNetwork(network, None) if wrapped else network
        compute = regularised(module, settings, steps=10, seed=0) if wrapped else supervised(module, settings)
        compute(x, y, 5)
        gradients.append([p.grad for p in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_what_is_dropped_follows_from_seed_and_step():
    graph, settings = graph_of("darts"), Settings(1, drop_path=0.3, auxiliary=0.4)
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def loss(seed: int, step: int) -> float:
        network = Network(graph, torch.Generator().manual_seed(0))
        module = TrainedNetwork(network, "s3.r", torch.Generator().manual_seed(0))
        return float(regularised(module, settings, steps=10, seed=seed)(x, torch.arange(8) % 10, step))

    assert loss(0, 9) == loss(0, 9) and len({loss(0, 9), loss(0, 8), loss(1, 9)}) == 3


def test_the_network_is_found_in_the_state_of_either():
    network = Network(graph_of("darts"))
    for module in (network, TrainedNetwork(network, "s3.r")):
        Network(network.graph).load_state_dict(network_state(module.state_dict()))
