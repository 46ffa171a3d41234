"""Bilevel training: what it sees, what it steers to, what the guards do, and what discretising changes."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.spaces.base import SearchSpace
from edgenas.strategies.gradient.bilevel import one_size
from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining
from edgenas.strategies.gradient.relaxations import BinaryGates, Gumbel, HardConcrete, Softmax
from edgenas.training.settings import Settings as Training
from tests.strategies._synthetic import COSTS, Toy, noise, synthetic

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


def test_one_size_is_one_that_holds_the_largest_feasible_networks():
    problem = synthetic(Toy(4), 0.5)
    one = one_size(problem, np.random.default_rng(0))
    assert len(list(one.space.all_statics())) == 1 and one.costs == COSTS
