"""Machines that are busy for ever, or but for a gap, by sessions and a clock that are ours."""

import math

import numpy as np
import pytest

from edgenas.runtimes import gaps
from edgenas.runtimes.base import Round
from edgenas.runtimes.gaps import measure_in_gaps, measure_or_wait
from edgenas.runtimes.summary import Timing
from edgenas.runtimes.timing import MIN_ROUNDS, WARM_UP_MS, TooNoisy
from edgenas.runtimes.waiting import Waiting


class Machine:
    """A clock, and whether the machine is quiet at a time; sleeping lets time pass, and so does a round."""

    def __init__(self, quiet=lambda now_s: False):
        self.quiet, self.now_s = quiet, 0.0

    def clock(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


class FakeSession:
    """Rounds of `ms` while the machine is quiet; else none is clean, and each third is far slower."""

    def __init__(self, machine, ms, knows=True):
        self.machine, self.ms, self.knows, self.taken = machine, ms, knows, 0

    def run(self, x=None):
        return []

    def rounds(self, n, ms):
        if ms == WARM_UP_MS:
            return [self.ms]
        self.machine.now_s += ms / 1000
        self.taken += 1
        disturbed_ms = self.ms * (2.0 if self.taken % 3 == 0 else 1.0 + 0.01 * (self.taken % 5))
        if self.machine.quiet(self.machine.now_s):
            return [Round(self.ms, 10, 0.9, disturbed_ms)]
        return [Round(math.nan, 10, 0.05, disturbed_ms if self.knows else math.nan)]

    def close(self):
        pass


HOW = {"rounds": 24, "round_ms": 5.0}


def waited_for(machine, items, each_s=60.0):
    said = []
    waiting = Waiting(each_s, said.append, clock=machine.clock, sleep=machine.sleep)
    return measure_or_wait(items, waiting, rng=np.random.default_rng(0), reference="ref", **HOW), said


def items(machine, **more):
    return {"ref": [FakeSession(machine, 0.05)], "a": [FakeSession(machine, 3.0)] * 2, **more}


def test_a_quiet_machine_is_measured_without_a_word():
    machine = Machine(lambda now_s: True)
    timings, said = waited_for(machine, items(machine))
    assert timings["a"] == Timing(3.0, 3.0, 0.0, 240, pytest.approx(0.9)) and said == []


def test_a_gap_gives_the_figures_of_a_quiet_machine():
    machine = Machine(lambda now_s: 20.0 <= now_s <= 25.0)
    timings, said = waited_for(machine, items(machine))
    assert all(timing.clean and timing.repeat_error == 0.0 for timing in timings.values())
    assert timings["a"].ms == 3.0 and timings["ref"].ms == 0.05
    assert machine.now_s < 30.0 and len(said) == 1 and "for 1 min" in said[0]


def test_clean_rounds_of_several_gaps_are_kept():
    """Each gap, after every pause, is too short for eight rounds."""
    machine = Machine(lambda now_s: now_s % 1.0 < 0.025)
    machine.sleep = lambda seconds: setattr(machine, "now_s", math.ceil(machine.now_s))
    timings, _ = waited_for(machine, {"a": [FakeSession(machine, 3.0)], "ref": [FakeSession(machine, 0.05)]})
    assert timings["a"] == Timing(3.0, 3.0, 0.0, timings["a"].runs, pytest.approx(0.9))


def test_after_the_time_disturbed_samples_count_with_their_spread():
    machine = Machine()
    timings, said = waited_for(machine, items(machine))
    assert not any(timing.clean for timing in timings.values())
    assert 3.0 <= timings["a"].ms < 3.1 and timings["a"].repeat_error >= 0.01 and timings["a"].p90_ms == 6.0
    assert 60.0 <= machine.now_s < 75.0 and len(said) == 2 and "disturbed" in said[1]


def test_what_has_clean_samples_is_clean_beside_what_has_none():
    """A long model sees no clean sample where a short one does."""
    machine = Machine(lambda now_s: True)
    busy = Machine()
    timings, _ = waited_for(machine, items(machine, long=[FakeSession(busy, 20.0)]))
    assert timings["a"].clean and not timings["long"].clean and 20.0 <= timings["long"].ms < 21.0


def test_without_time_to_wait_eight_rounds_are_taken():
    machine = Machine()
    session = FakeSession(machine, 1.0)
    how = {"clock": machine.clock, "sleep": pytest.fail, "rng": np.random.default_rng(0)}
    timing = measure_in_gaps({"a": [session]}, seconds=0.0, **HOW, **how)["a"]
    assert session.taken == MIN_ROUNDS and timing.runs == 10 * MIN_ROUNDS and not timing.clean


def test_between_looks_at_a_busy_machine_there_is_a_pause():
    machine = Machine()
    session = FakeSession(machine, 1.0)
    how = {"clock": machine.clock, "sleep": machine.sleep, "rng": np.random.default_rng(0)}
    measure_in_gaps({"a": [session]}, seconds=30.0, **HOW, **how)
    assert session.taken <= 2 + 30.0 / gaps.PAUSE_S


def test_nobody_who_may_not_wait_does():
    machine = Machine()
    with pytest.raises(TooNoisy, match="3 attempts"):
        measure_or_wait(items(machine), None, rng=np.random.default_rng(0), sleep=machine.sleep, **HOW)


def test_a_runtime_that_tells_nothing_of_disturbed_samples_is_refused():
    machine = Machine()
    with pytest.raises(TooNoisy, match="'a' was clean"):
        waited_for(machine, {"a": [FakeSession(machine, 3.0, knows=False)], "ref": [FakeSession(machine, 0.05)]})


def test_clean_rounds_of_before_count_too():
    machine = Machine()
    session = FakeSession(machine, 3.0)
    how = {"clock": machine.clock, "sleep": machine.sleep, "rng": np.random.default_rng(0)}
    taken = [{"a": Round(2.9, 10, 0.9)} for _ in range(MIN_ROUNDS)]
    assert measure_in_gaps({"a": [session]}, seconds=0.0, taken=taken, **HOW, **how)["a"].ms == 2.9
    assert session.taken == 0


def test_what_was_clean_before_the_machine_was_found_busy_is_not_measured_again():
    machine, busy = Machine(lambda now_s: True), Machine()
    quick, reference = FakeSession(machine, 3.0), FakeSession(machine, 0.05)
    timings, _ = waited_for(machine, {"ref": [reference], "a": [quick], "long": [FakeSession(busy, 20.0)]})
    assert timings["a"].clean and quick.taken == reference.taken == HOW["rounds"]
