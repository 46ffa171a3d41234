"""Slices of shared weights: scored as they stand, on the images that a search can afford or on all."""

from __future__ import annotations

import pytest
import torch

from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.nn.network import fresh_network, reestimate_batch_norm
from edgenas.nn.supernet import Supernet
from edgenas.testing import evaluator_contract
from edgenas.testing.toy import ToySpace, noise
from edgenas.training.distillation import Teacher
from tests.pretrained.converter.test_space import space_of

SPACE = ToySpace(3)
DATA = noise(SPACE.shape, SPACE.classes)
ARCH = tuple(options[-1] for options in SPACE.allowed)


def evaluator() -> SupernetEvaluator:
    return SupernetEvaluator(Supernet(SPACE, torch.Generator().manual_seed(0)), DATA)


def test_keeps_the_contract():
    evaluator_contract(evaluator(), SPACE)


def test_a_network_has_the_weights_of_the_supernet():
    made = evaluator()
    network = made.network(ARCH)
    for node in network.graph.priced:
        for name, parameter in network.layer(node.name).weights.items():
            assert torch.equal(parameter, made.supernet.weights(node)[name])


def test_scores_follow_the_weights():
    made = evaluator()
    before = made(ARCH)
    with torch.no_grad():
        for parameter in made.supernet.parameters():
            parameter.mul_(-1)
    assert made(ARCH)["loss"] != before["loss"]


@pytest.fixture(scope="module")
def taught():
    """A space of cuts, its teacher, and images that this tells apart."""
    space = space_of("lite", 64, classes=3)[1].restrict({"width": [0]})
    data, network = noise(space.shape, space.classes), fresh_network(space, space.whole, 0, "cpu")
    reestimate_batch_norm(network, data.train.batches(len(data.train), size=64))
    with torch.no_grad():
        network.layer(network.graph.output.name).weights["weight"].mul_(1e3)
    return space.retrained(network.grouped(), {}), Teacher(network), data


def test_cuts_are_fitted_to_the_whole_network(taught):
    space, teacher, data = taught
    supernet = Supernet(space)
    plain, fitting = SupernetEvaluator(supernet, data), SupernetEvaluator(supernet, data, teacher=teacher)
    x, _ = next(data.train.batches(64, size=64, epoch=0))
    place = next(i for i, choice in enumerate(space.choices) if choice.name.endswith(".expand"))
    cut = (*space.whole[:place], 1, *space.whole[place + 1 :])
    with torch.no_grad():
        whole, loose, fitted = (e.network(a)(x) for e, a in ((plain, space.whole), (plain, cut), (fitting, cut)))
        assert torch.equal(fitting.network(space.whole)(x), whole)
    assert 0 < (fitted - whole).square().mean() < (loose - whole).square().mean()


def test_cuts_are_compared_by_their_agreement_with_the_teacher(taught):
    space, teacher, data = taught
    made = SupernetEvaluator(Supernet(space), data, teacher=teacher)
    evaluator_contract(made, space)
    smallest = tuple(max(allowed) for allowed in space.allowed)
    for score in (made, made.final):
        assert 0 < score(smallest)["agreement"] < score(space.whole)["agreement"] <= 1
        assert score(space.whole)["agreement"] > 0.9
