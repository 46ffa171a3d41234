"""A tiny bilevel training, its relaxations, and a space that can skip."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.spaces.base import SearchSpace
from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining
from edgenas.strategies.gradient.relaxations import BinaryGates, Gumbel, HardConcrete, Softmax
from edgenas.training.settings import Settings as Training
from tests.strategies._synthetic import Toy, noise, synthetic

TINY = Toy(3).restrict({"width": [0]})
DATA = noise(TINY.shape, TINY.classes)
RELAXATIONS = (Softmax(), Gumbel(), HardConcrete(), BinaryGates())
every_relaxation = pytest.mark.parametrize("relaxation", RELAXATIONS, ids=lambda w: type(w).__name__)


def training(relaxation=RELAXATIONS[0], problem=None, *, epochs=4, change=lambda s: s, **settings) -> BilevelTraining:
    problem = problem or synthetic(TINY, 0.4)
    kept = change(BilevelSettings(Training(epochs, 32), **settings))
    rng = np.random.default_rng(0)
    return BilevelTraining(problem, DATA.train, relaxation, kept, rng, seed=0, device="cpu")


class Skipping(Toy):
    """Whatever is 1 counts as a skip connection."""

    skip_options = frozenset({1})


def skipping(**allowed: list[int]) -> SearchSpace:
    return Skipping(6).restrict({"width": [0], "depth": [2], **{f"e{i}": [1] for i in range(6)}, **allowed})
