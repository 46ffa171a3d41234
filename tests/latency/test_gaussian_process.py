from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.latency.gaussian_process import fit_group, fit_process, fit_variances

NOISE = 0.02


def networks(rng: np.random.Generator, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Counts of ops and one-hot choices on six edges, and true latencies: additive but for one interaction."""
    codes = rng.integers(0, 4, (count, 6))
    one_hot = (codes[:, :, None] == np.arange(4)).astype(float)
    counts = one_hot.sum(axis=1)
    ms = 4 + counts @ [0.0, 0.5, 1.0, 3.0] + 2.0 * ((codes[:, 0] == 3) & (codes[:, 1] == 3))
    return [counts, one_hot.reshape(count, -1)], ms


def noisy(ms: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return ms * (1 + NOISE * rng.standard_normal(len(ms)))


def ridge(x: np.ndarray, ms: np.ndarray, test: np.ndarray) -> np.ndarray:
    centre = x.mean(axis=0)
    weights = np.linalg.solve(
        (x - centre).T @ (x - centre) + 0.1 * np.eye(x.shape[1]), (x - centre).T @ (ms - ms.mean())
    )
    return np.asarray(ms.mean() + (test - centre) @ weights)


@pytest.mark.parametrize("count", [50, 300])
def test_predicts_unseen_networks_better_than_ridge_on_choices(rng, count):
    seen, ms = networks(rng, count)
    unseen, truth = networks(rng, 500)
    measured = noisy(ms, rng)
    ours = np.abs(fit_process(seen, measured)(unseen) / truth - 1).mean()
    assert ours < 0.8 * np.abs(ridge(seen[1], measured, unseen[1]) / truth - 1).mean()


def test_a_spoilt_sample_does_not_bend_the_rest(rng):
    seen, ms = networks(rng, 100)
    unseen, truth = networks(rng, 500)
    measured = noisy(ms, rng)
    clean = np.abs(fit_process(seen, measured)(unseen) / truth - 1).mean()
    measured[[3, 50, 70]] *= 8.0
    assert np.abs(fit_process(seen, measured)(unseen) / truth - 1).mean() < clean + 0.01


def test_the_margin_covers_unseen_networks():
    inside = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        seen, ms = networks(rng, 120)
        unseen, truth = networks(rng, 500)
        process = fit_process(seen, noisy(ms, rng))
        inside.append(np.mean(np.abs(noisy(truth, rng) / process(unseen) - 1) <= process.margin))
    assert 0.85 <= np.mean(inside) <= 0.95, inside


@settings(max_examples=10)
@given(st.integers(0, 1000), st.floats(1e-4, 1e4))
def test_the_unit_scales_the_result_and_nothing_else(seed, unit):
    rng = np.random.default_rng(seed)
    features, ms = networks(rng, 40)
    measured = noisy(ms, rng)
    plain, scaled = fit_process(features, measured), fit_process(features, unit * measured)
    np.testing.assert_allclose(scaled(features), unit * plain(features), rtol=1e-5)
    assert scaled.margin == pytest.approx(plain.margin, rel=1e-4)


@settings(max_examples=15)
@given(st.lists(st.floats(1e-4, 6e4), min_size=5, max_size=12), st.integers(0, 100))
def test_no_latency_is_ever_negative(ms, seed):
    rng = np.random.default_rng(seed)
    features, _ = networks(rng, len(ms))
    others, _ = networks(rng, 50)
    process = fit_process(features, np.array(ms))
    predicted = process(others)
    assert (predicted > 0).all() and np.isfinite(predicted).all() and process.margin >= 0


def test_exact_data_and_features_that_never_differ_are_no_fault(rng):
    (counts, _), _ = networks(rng, 40)
    ms = 3 + counts @ [0.0, 1.0, 2.0, 4.0]
    features = [counts, np.ones((40, 2)), np.full((40, 1), 0.1)]
    np.testing.assert_allclose(fit_process(features, ms)(features), ms, rtol=1e-3)
    np.testing.assert_allclose(fit_process(features, np.full(40, 2.0))(features), 2.0)


def test_variances_of_simulated_data_are_found(rng):
    """Forty data sets share 4, 0 and a noise of 0.25; each has a mean of its own."""
    x = [rng.standard_normal((30, 8)) for _ in range(40)]
    z = [rng.standard_normal((30, 8)) for _ in range(40)]
    kernels = [[a @ a.T / 8, b @ b.T / 8] for a, b in zip(x, z, strict=True)]
    targets = [
        100 * rng.standard_normal() + a @ rng.standard_normal(8) * 2 / np.sqrt(8) + 0.5 * rng.standard_normal(30)
        for a in x
    ]
    first, second, noise = fit_variances(kernels, targets, steps=100)
    assert first == pytest.approx(4.0, rel=0.3) and second < 0.05 and noise == pytest.approx(0.25, rel=0.2)


@given(st.integers(1, 5), st.floats(0.1, 100))
def test_a_group_has_mean_0_and_mean_squared_length_1(width, scale):
    x = scale * np.random.default_rng(width).standard_normal((20, width)) + 3
    scaled = fit_group(x)(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    assert np.mean(np.sum(scaled**2, axis=1)) == pytest.approx(1)
