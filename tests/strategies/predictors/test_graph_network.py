"""The graph network and what it reads: nothing but the network counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from edgenas.exploration.feasible import network_keys, uniform
from edgenas.spaces.sampling import neighbours
from edgenas.strategies.predictors import graph_network
from edgenas.strategies.predictors.graph_network import Graphs
from tests._ranks import spearman
from tests.strategies._synthetic import Toy
from tests.strategies.predictors._graphs import CELLS, every_space


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is cut short where only its repeatability matters."""
    monkeypatch.setattr(graph_network, "EPOCHS", 5)


@every_space
def test_equal_networks_are_predicted_alike(space, rng, short):
    archs = uniform(space, rng, 20)
    model = Graphs(space, members=2)
    model.fit(archs, rng.random(20), rng)
    changed = [(arch, other) for arch in archs for other in neighbours(space, arch)]
    both = [network_keys(space, side) for side in zip(*changed, strict=True)]
    same = [pair for pair, a, b in zip(changed, *both, strict=True) if a == b]
    assert len(same) > 5 and all(arch != other for arch, other in same)
    # A model that has not read the first ones derives the graphs of the others.
    first, other = ([arch for arch, _ in same], [other for _, other in same])
    mean = model.predict(first)[0]
    model._read.clear()
    np.testing.assert_allclose(model.predict(other)[0], mean, atol=1e-4)


def test_the_seed_decides(rng, short):
    archs, others = uniform(CELLS, rng, 20), uniform(CELLS, rng, 20)
    quality = rng.random(20)

    def predicted(seed: int) -> np.ndarray:
        model = Graphs(CELLS, members=2)
        model.fit(archs, quality, np.random.default_rng(seed))
        return np.concatenate(model.predict(others))

    before = torch.random.get_rng_state()
    np.testing.assert_array_equal(predicted(1), predicted(1))
    assert np.abs(predicted(1) - predicted(2)).max() > 1e-3
    assert torch.equal(torch.random.get_rng_state(), before)


def test_learns_what_adds_up(rng):
    """A taste for each kernel that runs, wherever it is."""
    space = Toy()
    archs = uniform(space, rng, 400)
    found = [[node.key for node in space.graph(arch).priced] for arch in archs]
    taste = dict(zip(sorted(set(itertools.chain(*found))), rng.standard_normal(1000), strict=False))
    quality = [sum(taste[key] for key in keys) for keys in found]
    model = Graphs(space, members=1)
    model.fit(archs[:100], quality[:100], rng)
    mean, spread = model.predict(archs[100:])
    assert spearman(mean, quality[100:]) > 0.9
    assert (spread > 0).all()


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6])
def test_few_labels_and_equal_ones_are_no_fault(count, rng, short):
    archs = uniform(Toy(), rng, count)
    model = Graphs(Toy())
    for qualities in ([1.0] * count, list(range(count))):
        model.fit(archs, qualities, rng)
        mean, spread = model.predict(uniform(Toy(), rng, 9))
        assert mean.shape == spread.shape == (9,) and np.isfinite(mean).all() and (spread >= 0).all()
    assert [len(x) for x in model.predict([])] == [0, 0]
