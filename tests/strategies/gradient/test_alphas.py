"""Probabilities of options, and what is expected of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.spaces.build import build_space
from edgenas.strategies.gradient.alphas import entropy
from edgenas.system import plugins
from tests.strategies.gradient._alphas import SPACE, alphas

SPACES = {name: build_space(name, (3, 32, 32), 10) for name in plugins.names("spaces")}


def test_only_what_is_allowed_has_a_probability():
    made = alphas()
    assert made.names() == [c.name for c, o in zip(SPACE.choices, SPACE.allowed, strict=True) if len(o) > 1]
    for row, allowed in zip(made.probabilities(0.9).detach(), made.options(), strict=True):
        assert float(row.sum()) == pytest.approx(1)
        assert {i for i, p in enumerate(row.tolist()) if p > 0} == set(allowed)
    for arch in made.sample(made.probabilities(), 50, np.random.default_rng(0)):
        assert all(option in allowed for option, allowed in zip(arch, SPACE.allowed, strict=True))


@settings(max_examples=30)
@given(st.floats(0, 0.99), st.integers(0, 99), st.sampled_from([1e-3, 0.1, 1.0, 10.0]))
def test_the_floor_holds_and_keeps_the_order(floor, seed, spread):
    made = alphas(seed, spread)
    plain, sharp = made.probabilities(), made.probabilities(floor)
    assert (sharp.amax(1) >= floor - 1e-3).all()
    assert torch.equal(plain.argmax(1), sharp.argmax(1))
    enough = plain.amax(1) > floor + 1e-4
    torch.testing.assert_close(sharp[enough], plain[enough], rtol=1e-3, atol=1e-5)


def test_decode_takes_the_likeliest_and_its_likelihood_is_the_highest():
    made = alphas()
    archs = made.sample(made.probabilities(), 200, np.random.default_rng(0))
    best, *others = made.log_likelihoods([made.decode(), *archs])
    assert best >= max(others) - 1e-6


def test_samples_follow_the_probabilities():
    made = alphas()
    archs = np.array(made.sample(made.probabilities(), 20_000, np.random.default_rng(0)))
    for row, i in zip(made.probabilities().tolist(), made.free, strict=True):
        shares = np.bincount(archs[:, i], minlength=len(row)) / len(archs)
        np.testing.assert_allclose(shares, row, atol=0.02)


def test_entropy_runs_from_certain_to_uniform():
    assert entropy(alphas(spread=0.0).probabilities()) == pytest.approx(1)
    assert entropy(alphas().probabilities(0.999)) < 0.05
