"""A machine that a neighbour has for a while is waited for; the quietest run counts."""

import math

import pytest

from edgenas.devices import timed_graphs as host
from edgenas.runtimes import reference
from edgenas.runtimes.summary import Timing


def timings(ms, reference_ms, repeat_error=0.0):
    return {
        "net": Timing(ms, ms, repeat_error, 100, 1.0),
        reference.NAME: Timing(reference_ms, reference_ms, 0.0, 100, 1.0),
    }


QUIET, BUSY, SHAKY = timings(1.0, 0.050), timings(1.5, 0.075), timings(1.1, 0.051, repeat_error=0.2)


@pytest.mark.parametrize(
    "runs, kept, taken",
    [
        ([QUIET, BUSY], QUIET, 1),
        ([BUSY, QUIET, BUSY], QUIET, 2),
        ([SHAKY, QUIET], QUIET, 2),
        ([BUSY, BUSY, SHAKY, QUIET], SHAKY, 3),
    ],
)
def test_the_first_quiet_run_counts_else_the_quietest_of_three(monkeypatch, runs, kept, taken):
    monkeypatch.setattr(host, "PAUSE_S", 0.0)
    left = list(runs)
    assert host._quietest(lambda: left.pop(0), 0.050, 0.04, tries=3) is kept
    assert len(runs) - len(left) == taken


def test_without_a_known_reference_one_run_is_enough():
    left = [BUSY, QUIET]
    assert host._quietest(lambda: left.pop(0), math.inf, math.inf, tries=3) is BUSY
    assert left == [QUIET]
