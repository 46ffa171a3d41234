"""Mixtures: one-hot weights are the architecture, soft ones the weighted sum, gradients those of the plain sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edgenas.graph.graph import Graph
from edgenas.graph.ops import Choose, Zero
from edgenas.nn.layers import apply
from edgenas.nn.mixture import Mixture, mixed, needed, skips
from edgenas.nn.supernet import Supernet
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.system import plugins

SIDES = {"darts": 24, "nasbench201": 16}  # the smallest images that fit; 28 in the others
SPACES = {
    name: build_space(name, (3, SIDES.get(name, 28), SIDES.get(name, 28)), 10) for name in plugins.names("spaces")
}
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=lambda s: s.name)


def smallest(space: SearchSpace) -> SearchSpace:
    return space.restrict({space.choices[i].name: [0] for i in space.static_indices})


def graph_of(space: SearchSpace) -> Graph:
    return space.supergraph(next(space.all_statics()))


def images(count: int = 3, side: int = 32) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def free(space: SearchSpace):
    return [choice for choice in space.choices if not choice.static]


def soft(space: SearchSpace, seed: int = 0) -> dict[str, Mixture]:
    rng = torch.Generator().manual_seed(seed)
    return {
        choice.name: Mixture(
            tuple(range(len(choice.options))),
            torch.randn(len(choice.options), generator=rng).softmax(0).requires_grad_(),
        )
        for choice in free(space)
    }


def plainly(supernet: Supernet, graph: Graph, mixtures, x: Tensor, skip: float = 0.0) -> Tensor:
    """Node by node, as one would write it down."""
    values, auxiliary = {graph.input.name: x}, skips(supernet.space, graph) if skip else {}
    for node in graph.nodes[1:]:
        if isinstance(node.op, Choose):
            weights = dict(zip(mixtures[node.op.choice].options, mixtures[node.op.choice].weights, strict=True))
            total = torch.zeros(len(x), *node.shape)
            for option, name in zip(node.op.options, node.inputs, strict=True):
                if option in weights:
                    total = total + weights[option] * values[name]
            if node.name in auxiliary:
                total = total + skip * values[auxiliary[node.name]]
            values[node.name] = total
        elif isinstance(node.op, Zero):
            values[node.name] = torch.zeros(len(x), *node.shape)
        else:
            inputs = [values[name] for name in node.inputs]
            values[node.name] = apply(node.op, inputs, supernet.weights(node), None)
    return values[graph.output.name]


@every_space
def test_a_certain_mixture_is_the_architecture(space):
    space = smallest(space)
    supernet, rng = Supernet(space, torch.Generator().manual_seed(0)), np.random.default_rng(0)
    graph = graph_of(space)
    for arch in [sample(space, rng) for _ in range(2)]:
        mixtures = {choice.name: Mixture((arch[space.index[choice.name]],), torch.ones(1)) for choice in free(space)}
        x = images(side=graph.input.shape[1])
        with torch.no_grad():
            torch.testing.assert_close(mixed(supernet, graph, mixtures, x), supernet(x, arch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "space, skip",
    [(SPACES["nasbench201"], 0.0), *((space, 0.7 if space.skip_options else 0.0) for space in SPACES.values())],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_soft_mixture_and_its_gradients_are_those_of_the_plain_sum(space, skip):
    space = smallest(space)
    supernet, graph = Supernet(space, torch.Generator().manual_seed(0)).double(), graph_of(space)
    x = images(2, graph.input.shape[1]).double()
    found = []
    for run in (mixed, plainly):
        mixtures = {
            name: Mixture(m.options, m.weights.detach().double().requires_grad_()) for name, m in soft(space).items()
        }
        supernet.zero_grad(set_to_none=True)
        logits = run(supernet, graph, mixtures, x, skip=skip)
        torch.nn.functional.cross_entropy(logits, torch.tensor([1, 2])).backward()
        gradients = {name: m.weights.grad for name, m in mixtures.items()}
        weights = {name: p.grad for name, p in supernet.named_parameters()}
        found.append((logits.detach(), gradients, weights))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-9)


def test_what_is_not_mixed_is_not_computed():
    space = SPACES["nasbench201"]
    graph, one = graph_of(space), {choice.name: Mixture((2,), torch.ones(1)) for choice in space.choices}
    names = {node.name for node in needed(graph, one, {})}
    assert {name for name in names if name.endswith(".k1")} and not {n for n in names if n.endswith((".k3", ".avg"))}


@pytest.mark.parametrize(
    "name, node, skip",
    [
        ("nasbench201", "s1.c1.e01", "stem"),
        ("darts", "s1.c2.op02", "s1.c2.in0"),
        ("darts", "s2.r.op02", "s2.r.op02.skip"),
    ],
)
def test_the_skip_of_a_choice_is_the_one_that_the_space_names(name, node, skip):
    graph = graph_of(SPACES[name])
    assert skips(SPACES[name], graph)[node] == skip
