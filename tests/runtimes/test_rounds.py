"""A round on a machine whose clocks are ours: what interruptions do to its median, and what they do not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from edgenas.runtimes.rounds import Gauges, gauges, timed_round


class Machine:
    """A core that runs an op in `op_ns` and is taken away in a share of the runs, for 10 ms each."""

    def __init__(self, op_ns, interrupted=0.0, tick_ns=1, seen_by="cpu"):
        self.op_ns, self.interrupted, self.tick_ns, self.seen_by = op_ns, interrupted, tick_ns, seen_by
        self.wall = self.cpu = self.switches = self.runs = 0
        self.rng = np.random.default_rng(0)

    def run(self):
        self.runs += 1
        self.wall += self.op_ns
        self.cpu += self.op_ns
        if self.rng.random() < self.interrupted:
            self.wall += 10_000_000
            if self.seen_by == "switches":
                self.cpu += 10_000_000
                self.switches += 1

    def gauges(self):
        return Gauges(
            wall_ns=lambda: self.wall // self.tick_ns * self.tick_ns,
            cpu_ns=lambda: self.cpu,
            switches=lambda: self.switches,
            tick_ns=self.tick_ns,
        )


@pytest.mark.parametrize("seen_by", ["cpu", "switches"])
@pytest.mark.parametrize("op_ns, interrupted", [(20_000, 0.05), (300_000, 0.3), (3_000_000, 0.5)])
def test_interrupted_samples_do_not_move_the_median(op_ns, interrupted, seen_by):
    machine = Machine(op_ns, interrupted, seen_by=seen_by)
    figure = timed_round(machine.run, 500.0, machine.gauges())
    assert figure == pytest.approx(op_ns / 1e6)
    assert 0 < figure.clean_share < 1


def test_the_same_interruptions_do_move_it_when_no_gauge_sees_them():
    machine = Machine(300_000, interrupted=0.6)
    blind = Gauges(lambda: machine.wall, None, lambda: 0, tick_ns=1)
    assert timed_round(machine.run, 500.0, blind) > 10


def test_a_round_without_a_clean_sample_is_nan():
    machine = Machine(300_000, interrupted=1.0)
    figure = timed_round(machine.run, 50.0, machine.gauges())
    assert math.isnan(figure) and figure.clean_share == 0 and figure.runs >= 1


@pytest.mark.parametrize("interrupted", [0.5, 1.0])
def test_disturbed_samples_count_by_the_time_that_they_had_the_core(interrupted):
    machine = Machine(3_000_000, interrupted)
    figure = timed_round(machine.run, 200.0, machine.gauges())
    assert figure.disturbed_ms == pytest.approx(3.0) and figure.clean_share == pytest.approx(1 - interrupted, abs=0.25)


def test_where_no_clock_tells_it_they_count_by_the_time_that_passed():
    machine = Machine(3_000_000, 1.0)
    using = replace(machine.gauges(), cpu_ns=None, switches=lambda: machine.runs)
    assert timed_round(machine.run, 200.0, using).disturbed_ms == pytest.approx(13.0)


@pytest.mark.parametrize("tick_ns", [1, 100, 5_000, 100_000, 15_600_000])
def test_runs_are_batched_to_a_hundred_ticks_of_the_clock(tick_ns):
    machine = Machine(20_000, tick_ns=tick_ns)
    coarse = Gauges(machine.gauges().wall_ns, None, lambda: 0, tick_ns)
    assert timed_round(machine.run, 1.0, coarse) == pytest.approx(0.02, rel=0.011)


def test_a_run_longer_than_the_round_is_timed_once():
    machine = Machine(80_000_000)
    figure = timed_round(machine.run, 10.0, machine.gauges())
    assert figure == 80.0 and figure.runs == 1
    assert machine.runs == 2  # one to warm the caches


def test_cpu_time_gates_one_thread_only():
    assert gauges(1).cpu_ns is not None
    assert gauges(2).cpu_ns is None
    for using in (gauges(1), gauges(2)):
        assert using.tick_ns > 0
        assert using.wall_ns() <= using.wall_ns() and using.switches() <= using.switches()
