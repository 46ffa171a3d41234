"""Timing against a machine whose clocks are ours: what interruptions do to a figure, and what they do not."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.runtimes import timing
from edgenas.runtimes.timing import (
    Gauges,
    Round,
    Timing,
    TooNoisy,
    gauges,
    measure,
    repeat_error,
    repeat_error_of_table,
    summarise,
    timed_round,
)


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


@pytest.mark.parametrize(
    "rounds, expected",
    [
        ([1.0] * 6, 0.0),
        ([1.0, 1.1] * 5, 1 - 1 / 1.1),
        ([1.1, 1.0] * 5, 0.1),
        ([1.0, math.nan, 1.0, 2.0], 0.5),
        ([1.0, math.nan], math.inf),
        ([1.0], math.inf),
        ([], math.inf),
    ],
)
def test_repeat_error_compares_even_with_odd_rounds(rounds, expected):
    assert repeat_error(rounds) == pytest.approx(expected)


@given(
    st.lists(st.floats(0.01, 100), min_size=2, max_size=40),
    st.floats(0.1, 10),
    st.integers(0, 5),
)
def test_timings_scale_with_the_clock_and_lie_within_the_rounds(rounds, factor, spoilt):
    timing, scaled = summarise(rounds), summarise([factor * figure for figure in rounds])
    assert min(rounds) <= timing.ms <= timing.p90_ms <= max(rounds)
    assert scaled.ms == pytest.approx(factor * timing.ms)
    assert scaled.repeat_error == pytest.approx(timing.repeat_error, abs=1e-9)
    with_nans = summarise([*rounds, *[math.nan] * spoilt])
    assert (with_nans.ms, with_nans.p90_ms) == (timing.ms, timing.p90_ms)
    assert with_nans.clean_share == pytest.approx(len(rounds) / (len(rounds) + spoilt))


def test_summarise_weighs_clean_shares_by_runs():
    timing = summarise([Round(2.0, runs=30, clean_share=1.0), Round(2.0, runs=10, clean_share=0.2)])
    assert timing == Timing(ms=2.0, p90_ms=2.0, repeat_error=0.0, runs=40, clean_share=0.8)


def test_nothing_clean_has_no_figure():
    timing = summarise([math.nan] * 4)
    assert math.isnan(timing.ms) and timing.repeat_error == math.inf and timing.clean_share == 0


def test_a_table_repeats_within_what_nine_rows_of_ten_do():
    rows = {str(i): Timing(1.0, 1.0, error / 100, 1, 1.0) for i, error in enumerate(range(1, 11))}
    assert repeat_error_of_table(rows) == pytest.approx(0.09)


class FakeSession:
    """Rounds of `ms` with spikes upwards; `plan` gives the first ones exactly."""

    def __init__(self, ms, spikes=0.0, plan=(), log=None, label=None):
        self.ms, self.spikes, self.plan = ms, spikes, list(plan)
        self.rng, self.log, self.label = np.random.default_rng(1), log, label
        self.warm_runs = 0

    def run(self, x=None):
        self.warm_runs += 1
        return []

    def rounds(self, n, ms):
        assert n == 1
        if ms == timing.WARM_UP_MS:
            return [self.ms]
        if self.log is not None:
            self.log.append(self.label)
        if self.plan:
            return [self.plan.pop(0)]
        return [self.ms * (1 + self.rng.random() * 5 if self.rng.random() < self.spikes else 1)]

    def close(self):
        pass


def run_measure(items, rounds=24, **options):
    pauses = []
    timings = measure(items, rounds=rounds, round_ms=5.0, rng=np.random.default_rng(0), sleep=pauses.append, **options)
    return timings, pauses


def test_spikes_in_most_rounds_leave_the_figures():
    items = {"a": [FakeSession(1.0, spikes=0.6)], "b": [FakeSession(0.02, spikes=0.6)] * 3}
    timings, pauses = run_measure(items, rounds=60)
    assert timings["a"].ms == pytest.approx(1.0) and timings["b"].ms == pytest.approx(0.02)
    assert timings["a"].p90_ms > 1.5
    assert pauses == []


def test_every_round_times_every_item_once_in_changing_order():
    log = []
    items = {name: [FakeSession(1.0, log=log, label=name)] for name in "abcd"}
    run_measure(items, rounds=12)
    orders = [tuple(log[i : i + 4]) for i in range(0, len(log), 4)]
    assert len(orders) == 12 and all(sorted(order) == list("abcd") for order in orders)
    assert len(set(orders)) > 4


def test_an_even_round_and_the_next_use_the_same_session():
    log = []
    run_measure({"a": [FakeSession(1.0, log=log, label=i) for i in range(3)]}, rounds=8)
    assert log == [0, 0, 1, 1, 2, 2, 0, 0]


def test_sessions_that_differ_do_not_count_as_repeat_error():
    timings, _ = run_measure({"a": [FakeSession(1.0), FakeSession(1.07)]}, rounds=16)
    assert timings["a"].repeat_error == 0


def test_all_sessions_are_warmed_by_count():
    sessions = [FakeSession(1.0) for _ in range(3)]
    run_measure({"a": sessions})
    assert [session.warm_runs for session in sessions] == [timing.WARM_UP_RUNS] * 3


def test_rounds_with_a_slow_reference_are_taken_again():
    slow = {3, 4, 10}
    reference = FakeSession(1.0, plan=[2.0 if i in slow else 1.0 for i in range(20)])
    disturbed = FakeSession(5.0, plan=[9.0 if i in slow else 5.0 for i in range(20)])
    timings, _ = run_measure({"ref": [reference], "a": [disturbed]}, rounds=20, reference="ref")
    assert timings["a"] == Timing(ms=5.0, p90_ms=5.0, repeat_error=0.0, runs=20, clean_share=1.0)
    assert timings["ref"].ms == 1.0


def test_rounds_whose_reference_stays_slow_are_dropped():
    reference = FakeSession(2.0, plan=[1.0] * 15)
    timings, pauses = run_measure({"ref": [reference], "a": [FakeSession(5.0)]}, rounds=20, reference="ref")
    assert timings["a"].clean_share == pytest.approx(0.75) and timings["a"].runs == 20
    assert pauses == []


def test_the_reference_divides_nothing():
    items = {"ref": [FakeSession(7.0)], "a": [FakeSession(5.0)]}
    assert run_measure(items, reference="ref")[0]["a"].ms == 5.0


def test_a_noisy_machine_is_waited_for_then_given_up():
    with pytest.raises(TooNoisy, match="0% of the timing samples"):
        run_measure({"a": [FakeSession(math.nan)]})


def test_a_machine_that_calms_down_is_measured():
    timings, pauses = run_measure({"a": [FakeSession(1.0, plan=[math.nan] * 30)]}, rounds=24)
    assert timings["a"].ms == 1.0 and timings["a"].clean_share == pytest.approx(18 / 24)
    assert pauses == [timing.PAUSE_S]


@pytest.mark.parametrize("clean_share, enough", [(0.21, True), (0.19, False)])
def test_a_fifth_of_the_samples_must_be_clean(clean_share, enough):
    session = FakeSession(1.0)
    session.rounds = lambda n, ms: [Round(1.0, runs=100, clean_share=clean_share)]
    if enough:
        assert run_measure({"a": [session]})[0]["a"].clean_share == pytest.approx(clean_share)
    else:
        with pytest.raises(TooNoisy, match="19%"):
            run_measure({"a": [session]})


def test_an_item_without_any_figure_fails_the_rest_too():
    with pytest.raises(TooNoisy, match="'b'"):
        run_measure({"a": [FakeSession(1.0)], "b": [FakeSession(math.nan)], "c": [FakeSession(1.0)]})


def test_time_runs_out_after_eight_rounds_at_the_earliest():
    seen = []
    timings, _ = run_measure(
        {"a": [FakeSession(1.0)]}, rounds=50, seconds=0.0, progress=lambda done, total: seen.append((done, total))
    )
    assert timings["a"].runs == timing.MIN_ROUNDS
    assert seen == [*((i + 1, 50) for i in range(timing.MIN_ROUNDS)), (timing.MIN_ROUNDS, timing.MIN_ROUNDS)]


def test_the_file_works_alone_on_a_device():
    tree = ast.parse(Path(timing.__file__).read_text(), feature_version=(3, 9))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert modules <= {"__future__", "math", "time", "resource", "collections.abc", "dataclasses", "typing", "numpy"}
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))


def test_rounds_are_added_while_figures_do_not_repeat():
    wavering = FakeSession(1.0, plan=[1.5] * 20 + [1.5, 1.0] * 2)
    timings, _ = run_measure({"a": [wavering]}, rounds=24, max_repeat_error=0.04, patience=3)
    assert timings["a"].runs == 48 and timings["a"].ms == 1.0 and timings["a"].repeat_error == 0.0


def test_steady_figures_get_no_more_rounds_and_shaky_ones_no_end_of_them():
    assert run_measure({"a": [FakeSession(1.0)]}, rounds=20, max_repeat_error=0.04, patience=3)[0]["a"].runs == 20
    plan = [1.0, 2.0] * 100
    assert (
        run_measure({"a": [FakeSession(1.0, plan=plan)]}, rounds=20, max_repeat_error=0.04, patience=3)[0]["a"].runs
        == 60
    )
