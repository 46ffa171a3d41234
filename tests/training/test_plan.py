"""How long a training takes, and how much of it there is time for."""

from __future__ import annotations

import math

import pytest
import torch

from edgenas.nn.network import fresh_network
from edgenas.testing.toy import ToySpace
from edgenas.training.plan import choose_threads, plan, step_seconds
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


@pytest.mark.parametrize(
    ("seconds", "used", "chosen"),
    [
        ({4: 1.0}, 3.9, 4),  # cores compute all the time: nothing else is tried
        ({4: 1.0, 2: 0.9, 1: 2.0}, 2.0, 4),  # hardly faster
        ({4: 2.2, 2: 1.2, 1: 1.0}, 2.0, 2),  # one is hardly faster than two
        ({4: 2.2, 2: 1.9, 1: 1.0}, 2.0, 1),
    ],
)
def test_fewer_threads_are_taken_where_others_keep_the_cores(monkeypatch, seconds, used, chosen):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("edgenas.training.plan.host.usable_cores", lambda: 4)
    now = {"wall": 0.0, "cpu": 0.0}
    monkeypatch.setattr("edgenas.training.plan.time.monotonic", lambda: now["wall"])
    monkeypatch.setattr("edgenas.training.plan.time.process_time", lambda: now["cpu"])

    def step():
        now["wall"] += 1.0
        now["cpu"] += used
        return seconds[torch.get_num_threads()]

    before = torch.get_num_threads()
    try:
        assert choose_threads(step) == (chosen, seconds[chosen])
        assert torch.get_num_threads() == chosen
    finally:
        torch.set_num_threads(before)


def test_threads_that_the_user_names_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert choose_threads(lambda: 3.0) == (None, 3.0)
