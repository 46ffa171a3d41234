"""What predictors of quality share."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas.exploration.feasible import network_keys, uniform
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.strategies.predictors.interface import active_options, normal_scores
from tests._toys import Cell
from tests.strategies._synthetic import Toy

SPACES: list[SearchSpace] = [
    Toy(),
    Cell(),
    build_space("nasbench201", (3, 32, 32), 10),
    build_space("mbconv", (3, 32, 32), 10),
]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)


@every_space
def test_equal_networks_show_equal_options(space, rng):
    """Two networks show the same options exactly where nothing that is alive was chosen differently."""
    archs = uniform(space, rng, 300)
    shown, keys = active_options(space, archs), network_keys(space, archs)
    for (a, first), (b, second) in itertools.combinations(zip(keys, shown.tolist(), strict=True), 2):
        assert (a == b) == (first == second)


@pytest.mark.parametrize(
    "qualities, scores",
    [
        ([3.0], [0.0]),
        ([5, 5, 5], [0, 0, 0]),
        ([10.0, 91.0], [-0.6745, 0.6745]),
        ([0.1, 90, 91, 90], [-1.1503, 0, 1.1503, 0]),
        ([], []),
    ],
)
def test_normal_scores(qualities, scores):
    np.testing.assert_allclose(normal_scores(qualities), scores, atol=1e-4)
