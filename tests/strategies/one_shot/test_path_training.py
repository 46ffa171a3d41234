"""Weights that train path by path: which paths, what they move, and that nothing but (seed, step) decides."""

from __future__ import annotations

import numpy as np
import torch

from edgenas.nn.layers import trainable
from edgenas.nn.supernet import parameter_key
from edgenas.strategies.one_shot.path_samplers import fair_paths
from edgenas.training.context import TrainingContext
from tests.strategies.one_shot._paths import PROBLEM, SPACE, draw, training, weights

# Paths


# Training


def test_only_parameters_on_a_path_move():
    made = training()
    before = {name: p.clone() for name, p in made.supernet.shared.items()}
    (arch,) = next(draw(np.random.default_rng(0), 0))
    images = torch.randn(8, *SPACE.shape), torch.arange(8) % SPACE.classes
    made.update(images, [arch])
    used = {parameter_key(node.weights, name) for node in SPACE.graph(arch).priced for name in trainable(node)}
    moved = {name for name, p in made.supernet.shared.items() if not torch.equal(p, before[name])}
    assert moved == used < set(before)


def test_several_architectures_give_the_mean_of_their_gradients():
    made = training()
    archs = next(fair_paths(PROBLEM, np.random.default_rng(0), 0))
    images = torch.randn(8, *SPACE.shape), torch.arange(8) % SPACE.classes
    losses = [training().update(images, [arch]) for arch in archs]
    torch.testing.assert_close(made.update(images, archs), torch.stack(losses).mean())


def test_training_follows_from_seed_and_step():
    first, again = training(), training()
    for made in (first, again):
        made.advance(12, draw, TrainingContext())
    other = training()
    other.seed = 4
    other.advance(12, draw, TrainingContext())
    assert torch.equal(weights(first), weights(again)) and not torch.equal(weights(first), weights(other))


def test_loaded_after_a_part_equals_uninterrupted():
    whole, halted = training(), training()
    for until in (7, 15):
        whole.advance(until, draw, TrainingContext())
    halted.advance(7, draw, TrainingContext())
    state = halted.state()
    halted.advance(9, draw, TrainingContext())  # what comes after does not change the state
    resumed = training()
    resumed.load(state)
    resumed.advance(15, draw, TrainingContext())
    assert resumed.step == 15 and torch.equal(weights(whole), weights(resumed))


def test_a_step_never_waits_for_the_device():
    """On `meta`, whatever needs a number on the host fails."""
    made = training("meta")
    images = torch.empty(8, *SPACE.shape, device="meta"), torch.empty(8, dtype=torch.int64, device="meta")
    loss = made.update(images, next(fair_paths(PROBLEM, np.random.default_rng(0), 0)))
    assert loss.is_meta


def test_training_learns():
    made = training(epochs=60)
    x = torch.randn(32, *SPACE.shape)
    y = (x.mean(dim=(1, 2, 3)) > 0).long()
    arch = next(draw(np.random.default_rng(0), 0))
    first = float(made.update((x, y), arch))
    for _ in range(40):
        made.step += 1
        last = float(made.update((x, y), arch))
    assert last < 0.7 * first
