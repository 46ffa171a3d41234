"""One step of each training loop on the device `meta`, which has no values: what a GPU would wait for fails there."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgenas.data.base import Split
from edgenas.errors import Interrupted
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.nn.network import Network
from edgenas.nn.supernet import Supernet
from edgenas.spaces.sampling import sample
from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining
from edgenas.strategies.gradient.relaxations import Softmax
from edgenas.training.context import TrainingContext
from edgenas.training.sandwich import sandwich
from edgenas.training.settings import Settings
from edgenas.training.train import supervised, train
from tests.strategies._synthetic import COSTS, GATE, Accuracy, Toy, noise

SPACE = Toy(4)
SETTINGS = [Settings(2, batch_size=16), Settings(2, batch_size=16, ghost_batch=4, optimizer="sgd", cutout=0.5)]


@pytest.fixture(scope="module")
def images() -> Split:
    split = noise(SPACE.shape, SPACE.classes).train
    return replace(split, store=replace(split.store, pixels=split.store.pixels.to("meta")))


def one_step(module, gradients, images, settings):
    context = TrainingContext(stop=lambda: True)  # after the first step
    with pytest.raises(Interrupted):
        train(module, gradients, images, settings, size=8, seed=0, context=context)
    assert any(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.parametrize("settings", SETTINGS, ids=["adamw", "ghosts and sgd"])
def test_of_a_network(images, settings):
    network = Network(SPACE.graph(tuple(0 for _ in SPACE.choices))).to("meta")
    one_step(network, supervised(network, settings), images, settings)


@pytest.mark.parametrize("settings", SETTINGS, ids=["adamw", "ghosts and sgd"])
def test_of_a_supernet(images, settings, rng):
    supernet = Supernet(SPACE).to("meta")
    archs = [sample(SPACE, rng) for _ in range(3)]
    one_step(supernet, sandwich(supernet, settings, lambda step: archs), images, settings)


@pytest.mark.parametrize("settings", SETTINGS, ids=["adamw", "ghosts and sgd"])
def test_of_alphas_and_weights(images, settings):
    space = SPACE.restrict({"width": [0]})
    problem = Problem(space, COSTS, Objective({GATE: 0.3}), Accuracy(space, 0))
    bilevel = BilevelSettings(settings)
    rng = np.random.default_rng(0)
    t = BilevelTraining(problem, images, Softmax(), bilevel, rng, seed=0, device="meta")
    t.step = t.steps - 1  # when probabilities are sharpened
    batch = next(t.batches(0))
    t._step_alphas(next(t.batches(1)))
    loss = t._step_weights(batch)
    assert loss.is_meta and torch.is_tensor(t.alphas.logits.grad) and t.probabilities().is_meta
