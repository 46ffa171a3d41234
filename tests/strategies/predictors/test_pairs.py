"""Ridge models on pairs of choices: their algebra, and what they learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas.exploration.feasible import network_keys, uniform
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.strategies.predictors.interface import active_options, normal_scores
from edgenas.strategies.predictors.pairs import STRENGTHS, Pairs, Shared, fit_ridge, left_out
from tests._ranks import spearman
from tests._toys import Cell
from tests.strategies._synthetic import Toy

SPACES: list[SearchSpace] = [
    Toy(),
    Cell(),
    build_space("nasbench201", (3, 32, 32), 10),
    build_space("mbconv", (3, 32, 32), 10),
]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)


def centred_kernel(rng: np.random.Generator, n: int) -> np.ndarray:
    x = rng.standard_normal((n, 3))
    x -= x.mean(axis=0)
    return x @ x.T


@pytest.mark.parametrize("n", [2, 3, 30])
def test_errors_left_out_are_those_of_brute_force(rng, n):
    features, y = rng.standard_normal((n, 3)), rng.standard_normal(n)
    features -= features.mean(axis=0)
    values, vectors = np.linalg.eigh(features @ features.T)
    strengths = np.array([0.3, 2.0])
    errors = left_out(values, vectors, vectors.T @ (y - y.mean()), strengths)
    for i, (s, strength) in itertools.product(range(n), enumerate(strengths)):
        rest = np.arange(n) != i
        x, mean = features[rest], features[rest].mean(axis=0)
        weights = np.linalg.solve((x - mean).T @ (x - mean) + strength * np.eye(3), (x - mean).T @ y[rest])
        assert errors[i, s] == pytest.approx(y[i] - y[rest].mean() - (features[i] - mean) @ weights)


def test_the_strength_is_the_one_of_least_error(rng):
    kernel = centred_kernel(rng, 40)
    y = kernel[0] + rng.standard_normal(40)
    ridge = fit_ridge(kernel, y)
    errors = left_out(ridge.values, ridge.vectors, ridge.projected, STRENGTHS)
    assert ridge.strength in STRENGTHS and ridge.error == pytest.approx((errors**2).mean(axis=0).min())


def test_kernels_are_products_of_the_features_they_stand_for(rng):
    """Columns written out: options, pairs of options, triples of options."""
    hot = (rng.integers(0, 3, (12, 5))[:, :, None] == np.arange(3)).astype(np.float32)
    m = hot.reshape(12, -1) @ hot.reshape(12, -1).T
    for size, mix in enumerate(np.eye(5)[:3], start=1):
        columns = [
            np.einsum("ni,nj,nk->nijk", *(hot[:, c] for c in some), *[np.ones((12, 1))] * (3 - size)).reshape(12, -1)
            for some in itertools.combinations(range(5), size)
        ]
        wide = np.concatenate(columns, axis=1)
        np.testing.assert_allclose(Shared(m, np.zeros_like(m)).kernel(mix), wide @ wide.T, rtol=1e-6)


@every_space
def test_equal_networks_are_predicted_alike(space, rng):
    archs = uniform(space, rng, 2000)
    model = Pairs(space)
    model.fit(archs[:50], rng.random(50), rng)
    mean, spread = model.predict(archs)
    of = dict(zip(network_keys(space, archs), zip(mean, spread, strict=True), strict=True))
    for key, *both in zip(network_keys(space, archs), mean, spread, strict=True):
        assert both == pytest.approx(of[key], abs=1e-4)


def qualities(space: SearchSpace, archs: list[Arch], rng: np.random.Generator, pairs: float = 0.0) -> np.ndarray:
    """A taste for each option that is shown, and for options next to each other."""
    sizes = [len(choice.options) + 1 for choice in space.choices]  # the last one is for an absent option
    shown = active_options(space, archs)
    single = sum(rng.standard_normal(size)[column] for size, column in zip(sizes, shown.T, strict=True))
    together = [rng.standard_normal(both) for both in itertools.pairwise(sizes)]
    return single + pairs * sum(t[a, b] for t, (a, b) in zip(together, itertools.pairwise(shown.T), strict=True))


@pytest.mark.parametrize("space", SPACES[:3], ids=lambda s: s.name)
def test_learns_what_adds_up(space, rng):
    archs = uniform(space, rng, 400)
    quality = qualities(space, archs, rng)
    model = Pairs(space)
    model.fit(archs[:150], quality[:150], rng)
    assert spearman(model.predict(archs[150:])[0], quality[150:]) > 0.9


def test_learns_pairs_that_go_together(rng):
    space = Cell()
    archs = uniform(space, rng, 800)
    quality = qualities(space, archs, rng, pairs=3.0)
    model = Pairs(space)
    model.fit(archs[:200], quality[:200], rng)
    assert spearman(model.predict(archs[200:])[0], quality[200:]) > 0.95


def test_the_spread_covers_what_was_not_seen(rng):
    space = Toy()
    archs = uniform(space, rng, 900)
    quality = qualities(space, archs, rng, pairs=0.5) + 0.5 * rng.standard_normal(900)
    model = Pairs(space)
    model.fit(archs[:100], quality[:100], rng)
    mean, spread = model.predict(archs[100:])
    scores = np.interp(quality[100:], np.sort(quality[:100]), np.sort(normal_scores(quality[:100])))
    assert 0.55 < np.mean(np.abs(scores - mean) < spread) < 0.85
    assert model.predict(archs[:100])[1].mean() < spread.mean()


def test_equal_seeds_predict_alike(rng):
    """Beyond some hundred labels, members are compared on a draw of them."""
    space = Toy()
    archs = uniform(space, rng, 400)
    quality = qualities(space, archs, rng, pairs=0.5)

    def predicted(seed: int) -> np.ndarray:
        model = Pairs(space)
        model.fit(archs, quality, np.random.default_rng(seed))
        return np.concatenate(model.predict(archs))

    np.testing.assert_array_equal(predicted(1), predicted(1))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("quality", [0.5, None], ids=["all equal", "different"])
def test_few_labels_and_equal_ones_are_no_fault(count, quality, rng):
    space = Cell()
    archs = uniform(space, rng, count)
    model = Pairs(space)
    model.fit(archs, [quality if quality is not None else i for i in range(count)], rng)
    mean, spread = model.predict(uniform(space, rng, 30))
    assert np.isfinite(mean).all() and np.isfinite(spread).all() and (spread >= 0).all()
