"""Slices of shared weights: scored as they stand, on the images that a search can afford or on all."""

from __future__ import annotations

import pytest
import torch

from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.nn.network import fresh_network, reestimate_batch_norm
from edgenas.nn.supernet import Supernet
from edgenas.testing import evaluator_contract
from edgenas.testing.toy import ToySpace, noise
from edgenas.training.distillation import Teacher, resized
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
    return taught_at(64)


def taught_at(side):
    """A space of cuts, its teacher, and images that this tells apart."""
    space = space_of("lite", side, classes=3)[1].restrict({"width": [0]})
    data, network = noise(space.shape, space.classes), fresh_network(space, space.whole, 0, "cpu")
    reestimate_batch_norm(network, data.train.batches(len(data.train), size=side))
    with torch.no_grad():
        network.layer(network.graph.output.name).weights["weight"].mul_(1e3)
    return space.retrained(network.grouped(), {}), Teacher(network), data


def test_cuts_are_fitted_to_the_whole_network(taught):
    space, teacher, data = taught
    supernet = Supernet(space)
    plain, fitting = SupernetEvaluator(supernet, data), SupernetEvaluator(supernet, data, teacher=teacher)
    x, _ = next(data.train.batches(64, size=64, epoch=0))
    cut = cut_of(space)
    with torch.no_grad():
        whole, loose, fitted = (e.network(a)(x) for e, a in ((fitting, space.whole), (plain, cut), (fitting, cut)))
        torch.testing.assert_close(whole, teacher.network(x), rtol=1e-4, atol=1e-3)  # channels are in another order
    assert 0 < (fitted - whole).square().mean() < (loose - whole).square().mean()


def cut_of(space, option=1):
    place = next(i for i, choice in enumerate(space.choices) if choice.name.endswith(".expand"))
    return (*space.whole[:place], option, *space.whole[place + 1 :])


def moments(network, x):
    """By layer: mean and variance of the channels that it gives."""
    values = network.values(x, kept=[node.name for node in network.graph.priced])
    return {n.weights: (values[n.name].mean((0, 2, 3)), values[n.name].var((0, 2, 3))) for n in normalised(network)}


def normalised(network):
    return [node for node in network.graph.priced if network.layer(node.name).statistics is not None]


def test_the_whole_network_at_another_size_gives_on_average_what_it_gave():
    space, teacher, data = taught_at(96)
    smaller = (space.allowed[0][-1], *space.whole[1:])
    supernet = Supernet(space)
    made = SupernetEvaluator(supernet, data, teacher=teacher)
    with torch.no_grad():
        images = torch.cat([x for x, _ in data.train.batches(128, size=96, epoch=0)])
        small, whole = made.network(smaller), made.network(space.whole)
        x = resized(images, small.graph.input.shape[1])
        wanted, found = moments(whole, images), moments(small, x)
        loose = moments(supernet.subnet(smaller).eval(), x)
    for node in normalised(small):
        if node.op.act == "none":
            for right, ours, others in zip(*(of[node.weights] for of in (wanted, found, loose)), strict=True):
                assert (ours - right).abs().max() < 0.1 * (others - right).abs().max()


def test_weights_that_are_trained_on_lose_the_statistics_that_they_came_with(taught):
    space, teacher, data = taught
    supernet = Supernet(space)
    assert supernet.knows_statistics
    again = Supernet(space.original)
    again.load_state_dict(supernet.state_dict())  # as from a file, in the space that the run began with
    supernet.forget_statistics()
    assert again.knows_statistics and not supernet.knows_statistics
    x, _ = next(data.train.batches(64, size=64, epoch=0))
    for cut in (space.whole, cut_of(space)):
        kept, forgotten, opened = (
            SupernetEvaluator(weights, data, teacher=teacher).network(cut).eval()(x)
            for weights in (Supernet(space), supernet, again)
        )
        assert torch.equal(kept, opened) and not torch.equal(kept, forgotten)
    own = Supernet(space)
    own.load_state_dict(supernet.state_dict())
    assert not own.knows_statistics


def test_cuts_are_compared_by_their_agreement_with_the_teacher(taught):
    space, teacher, data = taught
    made = SupernetEvaluator(Supernet(space), data, teacher=teacher)
    evaluator_contract(made, space)
    smallest = tuple(max(allowed) for allowed in space.allowed)
    for score in (made, made.final):
        assert 0 < score(smallest)["agreement"] < score(space.whole)["agreement"] <= 1
        assert score(space.whole)["agreement"] > 0.9
