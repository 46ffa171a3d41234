from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from edgenas.graph.graph import Graph
from edgenas.graph.ops import Choose, Zero
from edgenas.nn.layers import apply
from edgenas.nn.network import MOMENTUM, Network, fresh_network, reestimate_batch_norm
from tests._toys import Cell, Recipe, Shared, all_archs, recipes
from tests.pretrained.converter.test_space import space_of


def batches(shape, count: int = 3, size: int = 8, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(size, *shape, generator=generator) + i, torch.zeros(size, dtype=torch.long)) for i in range(count)
    ]


def network(graph: Graph, seed: int = 0, **keywords: bool) -> Network:
    return Network(graph, torch.Generator().manual_seed(seed), **keywords)


def test_same_generator_same_weights():
    graph = Shared().graph((1, 1, 1, 1))
    first, second, other = network(graph), network(graph), network(graph, seed=1)
    x, _ = batches((3, 8, 8))[0]
    assert torch.equal(first(x), second(x)) and not torch.equal(first(x), other(x))
    assert first(x).shape == (8, 4)


def interpret(supergraph: Graph, decisions: dict[str, int], net: Network, x: Tensor) -> Tensor:
    """The supergraph taken literally: every node computed, zeros carried as tensors."""
    values = {supergraph.input.name: x}
    for node in supergraph.nodes[1:]:
        sources = [values[name] for name in node.inputs]
        if isinstance(node.op, Choose):
            values[node.name] = sources[node.op.options.index(decisions[node.op.choice])]
        elif isinstance(node.op, Zero):
            values[node.name] = torch.zeros_like(sources[0])
        else:
            values[node.name] = apply(node.op, sources, net.layer(node.name).weights, None)
    return values[supergraph.output.name]


@settings(max_examples=60)
@given(recipes(max_steps=10))
def test_a_derived_network_computes_what_the_supergraph_says(space: Recipe):
    """With zero biases ReLU networks map zeros to zeros, so the literal reading needs no rule about zeros."""
    supergraph = space.supergraph(())
    everything = network(Graph(tuple(node for node in supergraph if not isinstance(node.op, Choose))), folded=True)
    x, _ = batches(space.shape, 1)[0]
    for arch in all_archs(space)[:6]:
        subnet = network(space.graph(arch), folded=True).eval()
        with torch.no_grad():
            for node in subnet.graph.priced:
                for name, parameter in subnet.layer(node.name).weights.items():
                    parameter.copy_(everything.layer(node.name).weights[name])
            decisions = {choice.name: option for choice, option in zip(space.choices, arch, strict=True)}
            torch.testing.assert_close(subnet(x), interpret(supergraph, decisions, everything, x))


def test_reestimated_statistics_are_the_means_over_batches():
    net = network(Shared().graph((0, 1, 0, 1)))
    data = batches((3, 8, 8))
    stem = net.layer("stem")
    y = [torch.nn.functional.conv2d(x, stem.weights["weight"], None, 2, 1) for x, _ in data]
    with torch.no_grad():
        stem.mean.fill_(50.0)  # what stood there before is forgotten
    reestimate_batch_norm(net, data)
    torch.testing.assert_close(stem.mean, torch.stack([v.mean((0, 2, 3)) for v in y]).mean(0).detach())
    torch.testing.assert_close(stem.variance, torch.stack([v.var((0, 2, 3)) for v in y]).mean(0).detach())


def test_reestimation_ends_in_evaluation_mode_and_leaves_weights_alone():
    net = network(Shared().graph((0, 1, 0, 1)))
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    reestimate_batch_norm(net, batches((3, 8, 8)))
    assert not net.training
    assert {net.layer(node.name).momentum for node in net.graph.priced} == {MOMENTUM}
    assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())
    x, _ = batches((3, 8, 8), seed=1)[0]
    assert torch.equal(net(x), net(x))  # evaluation does not move the statistics


def test_statistics_of_another_mixture_matter():
    """A subnet scored on fresh statistics gives other logits than on stale ones (trap 14)."""
    net = network(Shared().graph((0, 1, 0, 1))).eval()
    x, _ = batches((3, 8, 8))[2]
    stale = net(x)
    reestimate_batch_norm(net, batches((3, 8, 8)))
    assert not torch.allclose(stale, net(x), rtol=0.1)


@pytest.mark.parametrize("space, arch", [(Shared(), (1, 1, 1, 1)), (Cell(), (2, 3, 2)), (Cell(), (0, 1, 0))])
def test_folded_network_is_the_evaluated_network(space, arch):
    net = network(space.graph(arch))
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("scale", "shift")):
                parameter.uniform_(0.5, 1.5)
    reestimate_batch_norm(net, batches(space.shape))
    folded = network(space.graph(arch), folded=True).eval()
    arrays = net.folded()
    with torch.no_grad():
        for node in folded.graph.priced:
            for name, parameter in folded.layer(node.name).weights.items():
                parameter.copy_(torch.from_numpy(arrays.pop(f"{node.name}.{name}")))
    assert not arrays
    x, _ = batches(space.shape, seed=1)[0]
    torch.testing.assert_close(folded(x), net(x), rtol=1e-4, atol=1e-5)


def test_folded_weights_are_what_the_ops_declare():
    net = network(Shared().graph((1, 1, 1, 1)))
    shapes = {f"{n.name}.{name}": shape for n in net.graph for name, shape in n.parameters.items()}
    arrays = net.folded()
    assert {name: array.shape for name, array in arrays.items()} == shapes
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


def test_state_dict_round_trip():
    net, other = network(Cell().graph((2, 2, 2))), network(Cell().graph((2, 2, 2)), seed=1)
    reestimate_batch_norm(net, batches((2, 6, 6)))
    other.load_state_dict(net.state_dict())
    x, _ = batches((2, 6, 6), seed=1)[0]
    assert torch.equal(net(x), other.eval()(x))


@pytest.mark.parametrize("family", ["lite", "mobilenet_v3", "resnet"])
def test_a_merged_network_gives_the_same_logits(family):
    space = space_of(family, 64, classes=3)[1]
    net = fresh_network(space, space.whole, 0, "cpu")
    x = torch.randn((8, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    reestimate_batch_norm(net, [(x, torch.zeros(8))])
    with torch.no_grad():
        merged = net.merged()
        torch.testing.assert_close(merged(x), net(x), rtol=1e-4, atol=1e-5)
    assert not any(name.endswith(("mean", "variance")) for name in merged.state_dict())
