"""Slices of shared weights: scored as they stand, on the images that a search can afford or on all."""

from __future__ import annotations

import torch

from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.nn.supernet import Supernet
from edgenas.testing import evaluator_contract
from edgenas.testing.toy import ToySpace, noise

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
