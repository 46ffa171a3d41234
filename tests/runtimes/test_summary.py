"""What becomes of rounds: quantiles, repeat errors, and rounds that count for nobody."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.runtimes.base import Round
from edgenas.runtimes.summary import (
    Timing,
    repeat_error,
    repeat_error_of_table,
    summarise,
    summarise_disturbed,
    summarise_rounds,
)


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


def test_a_round_whose_reference_is_slow_counts_for_nobody():
    rounds = [{"ref": 1.0, "a": 5.0} for _ in range(9)] + [{"ref": 1.3, "a": 1.0}, {"a": 1.0}]
    timings = summarise_rounds(rounds, "ref")
    assert timings["a"].ms == 5.0 and timings["a"].clean_share == pytest.approx(9 / 11)
    assert summarise_rounds(rounds, None)["a"].ms == 1.0


@pytest.mark.parametrize(
    "rounds, ms, repeat_error",
    [
        ([Round(math.nan, 5, 0.0, 2.0)] * 8, 2.0, 0.0),
        ([Round(1.0, 5, 0.1, 9.0), Round(math.nan, 5, 0.0, 1.0)] * 4, 1.0, 0.0),
        ([Round(math.nan, 5, 0.0, ms) for ms in (1.0, 1.0, 1.4, 1.4, 1.4, 1.4, 1.4, 1.4)], 1.0, 0.4),
        ([Round(math.nan, 5, 0.0, 1.0)], 1.0, 1.0),
    ],
    ids=["steady", "clean ones by their clean samples", "spread", "too few to tell"],
)
def test_disturbed_rounds_are_wide_as_they_spread(rounds, ms, repeat_error):
    timing = summarise_disturbed(rounds)
    assert (timing.ms, timing.repeat_error) == (pytest.approx(ms), pytest.approx(repeat_error))
    assert not timing.clean and timing.runs == 5 * len(rounds)
