"""A machine that a neighbour has for a while is measured again, and waited for; the quietest run counts."""

import math

import pytest

from edgenas.devices import quietest as module
from edgenas.devices.quietest import quietest
from edgenas.runtimes.waiting import Waiting
from tests._clock import Clock

DISTURBED = math.inf  # of samples that were never clean, although gaps were waited for


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.0)


def taken(slownesses, waiting=None):
    """Which run counts, and how many were taken; each run is how much slower the machine was, good up to 1.08."""
    left = list(slownesses)
    found = quietest(lambda: left.pop(0), lambda slow: slow, lambda slow: slow <= 1.08, waiting=waiting)
    return found, len(slownesses) - len(left)


@pytest.mark.parametrize(
    ("slownesses", "found", "runs"),
    [
        ([1.0, 1.5], 1.0, 1),
        ([1.5, 1.0, 1.5], 1.0, 2),
        ([1.5, 1.3, 1.4, 1.0], 1.3, 3),
        ([1.5, 1.1, 1.4, 1.0], 1.1, 3),
        ([1.5, DISTURBED, 1.0], 1.5, 2),
        ([DISTURBED, 1.0], DISTURBED, 1),
    ],
)
def test_the_first_quiet_run_counts_else_the_quietest_of_three(slownesses, found, runs):
    assert taken(slownesses) == (found, runs)


@pytest.mark.parametrize(
    ("later", "found", "runs"),
    [
        ([1.0], 1.0, 4),
        ([1.4, 1.1, 1.0], 1.1, 5),
        ([1.4] * 9, 1.3, 9),
        ([1.4, DISTURBED, 1.0], 1.3, 5),
    ],
)
def test_a_machine_that_is_far_slower_is_waited_for(later, found, runs):
    clock, said = Clock(), []
    waiting = Waiting(60.0, said.append, clock=clock, sleep=clock.sleep)
    assert taken([1.5, 1.3, 1.4, *later], waiting) == (found, runs)
    (line,) = said
    assert "it takes 1.30 times as long as at its best" in line
    assert waiting.left_s == 120.0 - clock.now_s, "what was waited is no more to be had"


def test_a_little_slower_is_not_worth_waiting_for():
    said = []
    assert taken([1.12, 1.1, 1.13, 1.0], Waiting(60.0, said.append)) == (1.1, 3) and not said
