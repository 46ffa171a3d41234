"""How long a training takes, and how much of it there is time for."""

from __future__ import annotations

import math
from functools import partial

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


def test_a_batch_takes_as_many_times_longer_as_it_has_images(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("edgenas.training.plan.time.monotonic", lambda: float(next(clock)))
    module = torch.nn.Linear(1, 1)
    time_of = partial(step_seconds, module, lambda x, y, step: None, (1, 1, 1))
    assert time_of(64) == 4 * time_of(16) and time_of(2) == time_of(4)
