"""How long a training takes, and how much of it there is time for."""

from __future__ import annotations

import math

import pytest
import torch

from edgenas.nn.network import fresh_network
from edgenas.testing.toy import ToySpace
from edgenas.training.plan import plan, step_seconds
from edgenas.training.settings import Settings, steps_of
from edgenas.training.train import supervised

SETTINGS = Settings(6, batch_size=32)


@pytest.mark.parametrize(
    ("available_s", "epochs"), [(math.inf, 6), (120.0, 6), (119.0, 5), (60.0, 3), (20.0, 1), (1.0, 1), (0.0, 1)]
)
def test_there_are_as_many_epochs_as_there_is_time_for_and_at_least_one(available_s, epochs):
    found = plan(SETTINGS, 320, 2.0, available_s)  # ten steps of two seconds an epoch
    assert (found.epochs, found.seconds) == (epochs, 20.0 * epochs)


def test_the_forecast_is_that_of_all_steps():
    assert plan(SETTINGS, 1_000, 0.5, math.inf).seconds == 0.5 * steps_of(SETTINGS, 1_000)


def test_timing_a_step_changes_nothing():
    space = ToySpace(3)
    network = fresh_network(space, (0,) * len(space.choices), 0, "cpu").eval()
    before, state = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    seconds = step_seconds(network, supervised(network, SETTINGS), space.shape, 32)
    assert seconds > 0 and not network.training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters()) and torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("side", "batch_size", "own", "expected"),
    [(64, 32, 0.0, 32.0), (64, 32, 5.0, 37.0), (64, 8, 5.0, 13.0), (64, 2, 5.0, 7.0), (640, 32, 0.0, 32.0)],
)
def test_a_step_takes_a_time_of_its_own_and_one_for_each_image(monkeypatch, side, batch_size, own, expected):
    now = [0.0]
    monkeypatch.setattr("edgenas.training.plan.time.monotonic", lambda: now[0])

    def gradients(x, y, step):
        now[0] += own + len(x) + (1.0 if step == 0 else 0.0)  # the first one takes longer

    found = step_seconds(torch.nn.Linear(1, 1), gradients, (1, side, side), batch_size)
    assert found == pytest.approx(expected)
