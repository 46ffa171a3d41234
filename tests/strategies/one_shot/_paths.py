"""A tiny training of a supernet by paths."""

from __future__ import annotations

import torch

from edgenas.nn.supernet import Supernet
from edgenas.strategies.one_shot.path_samplers import uniform_paths
from edgenas.strategies.one_shot.path_training import PathTraining
from edgenas.training.settings import Settings
from tests.strategies._synthetic import Toy, noise, synthetic

SPACE = Toy(4)
PROBLEM = synthetic(SPACE, 0.5)


def training(device: str = "cpu", epochs: int = 20) -> PathTraining:
    supernet = Supernet(SPACE, torch.Generator().manual_seed(0)).to(device)
    return PathTraining(supernet, noise(SPACE.shape, SPACE.classes).train, Settings(epochs, 32), seed=3)


def draw(rng, step):
    return uniform_paths(PROBLEM, rng, step)


def weights(made: PathTraining) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in made.supernet.parameters()])
