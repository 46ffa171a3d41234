"""The LSTM policy: probabilities, samples, and what narrowing leaves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from edgenas.strategies.controllers.lstm import Controller

ALLOWED = [(0, 2, 3), (1,), (0, 1)]


@pytest.fixture
def controller(rng) -> Controller:
    """A policy that is far from uniform."""
    policy = Controller(ALLOWED, 8, rng)
    with torch.no_grad():
        policy.heads.mul_(1000)
    return policy


def test_probabilities_of_all_architectures_sum_to_one(controller):
    log_prob, entropy = controller(list(itertools.product(*ALLOWED)))
    assert log_prob.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
    assert log_prob.exp().max() > 1.5 / 6
    assert ((entropy > 0) & (entropy < np.log(3) + np.log(2))).all()


def test_samples_follow_the_probabilities(controller, rng):
    archs = list(itertools.product(*ALLOWED))
    drawn = controller.sample(20_000, rng)
    frequencies = [drawn.count(arch) / len(drawn) for arch in archs]
    with torch.no_grad():
        assert frequencies == pytest.approx(controller(archs)[0].exp().tolist(), abs=0.015)


def test_no_free_choice(rng):
    controller = Controller([(3,), (0,)], 8, rng)
    assert controller.sample(2, rng) == [(3, 0)] * 2
    assert controller([(3, 0)])[0].tolist() == [0.0]


def test_a_narrowed_policy_keeps_its_preferences(controller, rng):
    before = controller([(0, 1, 0), (3, 1, 0)])[0].exp()
    controller.narrow([(0, 3), (1,), (1,)])
    kept = list(itertools.product((0, 3), (1,), (1,)))
    drawn = controller.sample(2_000, rng)
    assert set(drawn) == set(kept)
    after, entropy = controller(kept)
    assert after.exp().sum().item() == pytest.approx(1.0, abs=1e-5) and torch.isfinite(entropy).all()
    assert (after[0] > after[1]) == (before[0] > before[1])
