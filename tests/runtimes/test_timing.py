"""Interleaved rounds of sessions whose times are ours: order, repetition, and when a machine is given up."""

import math

import numpy as np
import pytest

from edgenas.runtimes import timing
from edgenas.runtimes.base import Round
from edgenas.runtimes.summary import Timing
from edgenas.runtimes.timing import TooNoisy, measure


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


def test_an_item_with_a_figure_in_even_rounds_alone_has_no_figure():
    """Nothing says how well it repeats, and no file holds an infinite error."""
    gaps = [1.0, math.nan] * 12
    with pytest.raises(TooNoisy, match="'long'"):
        run_measure({"a": [FakeSession(1.0)], "b": [FakeSession(1.0)], "long": [FakeSession(1.0, plan=gaps * 9)]})


def test_time_runs_out_after_eight_rounds_at_the_earliest():
    seen = []
    timings, _ = run_measure(
        {"a": [FakeSession(1.0)]}, rounds=50, seconds=0.0, progress=lambda done, total: seen.append((done, total))
    )
    assert timings["a"].runs == timing.MIN_ROUNDS
    assert seen == [*((i + 1, 50) for i in range(timing.MIN_ROUNDS)), (timing.MIN_ROUNDS, timing.MIN_ROUNDS)]


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


def test_with_one_attempt_eight_rounds_find_a_machine_busy():
    session = FakeSession(math.nan)
    seen = []
    session.rounds = lambda n, ms: seen.append(ms) or [Round(math.nan, 10, 0.0)]
    with pytest.raises(TooNoisy, match="^only 0% of the timing samples were clean$"):
        run_measure({"a": [session]}, rounds=100, attempts=1, max_repeat_error=0.04, patience=3)
    assert len(seen) == 1 + timing.MIN_ROUNDS


def test_items_without_a_clean_sample_may_be_left_out_where_the_others_have_enough():
    items = {"a": [FakeSession(1.0)], "b": [FakeSession(math.nan)], "c": [FakeSession(1.0)]}
    assert run_measure(items, may_lack=True)[0].keys() == {"a", "c"}
    with pytest.raises(TooNoisy, match="only 0%"):
        run_measure({"b": [FakeSession(math.nan)]}, may_lack=True)
