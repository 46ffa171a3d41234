from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgenas.errors import UsageError
from edgenas.exploration.objective import FORMS, SCORED_UP_TO, Limit, Objective, in_words

MS, KB = "latency_ms@test", "peak_bytes"
ANY = st.floats(allow_nan=True, allow_infinity=True)
COST = st.floats(0.001, 1000.0)
PARAMS = Limit("params", 1e6, "--max-params ", "parameters")
QUALITY = st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    "form, latency_ms, quality, reward",
    [
        ("hard", 20.0, 0.70, 0.70),
        ("hard", 10.0, 0.70, 0.70),
        ("hard", 30.0, 0.70, -0.5),
        ("soft", 20.0, 0.70, 0.70),
        ("soft", 10.0, 0.70, 0.7348),  # 0.7 x 0.5^-0.07
        ("soft", 30.0, 0.70, 0.6804),  # 0.7 x 1.5^-0.07
        ("soft", 40.0, 0.70, -1.0),
        ("absolute", 20.0, 0.70, 0.70),
        ("absolute", 10.0, 0.70, 0.65),
        ("absolute", 30.0, 0.70, 0.65),
        ("absolute", 40.0, 0.70, -1.1),
    ],
)
def test_reward_by_hand(form, latency_ms, quality, reward):
    objective = Objective({MS: 20.0}, form=form)
    assert objective.reward({MS: latency_ms, "accuracy": quality}) == pytest.approx(reward, abs=1e-4)


@pytest.mark.parametrize(
    "form, reward",
    [("hard", 0.8), ("soft", 0.8 * 0.5**-0.07 * 0.9**-0.07), ("absolute", 0.8 - 0.10 * 0.1)],  # the tightest of the two
)
def test_two_budgets(form, reward):
    objective = Objective({MS: 20.0, KB: 100.0}, form=form)
    assert objective.reward({MS: 10.0, KB: 90.0, "accuracy": 0.8}) == pytest.approx(reward)


def test_excess_adds_up_over_the_budgets_that_are_exceeded():
    objective = Objective({MS: 20.0, KB: 100.0, "macs": 10.0})
    assert objective.violation({MS: 30.0, KB: 200.0, "macs": 1.0}) == pytest.approx(1.5)


@pytest.mark.parametrize("form, reach", [("hard", 1.0), ("soft", 1.5), ("absolute", 1.5)])
def test_scored_up_to_its_reach_and_feasible_up_to_the_budget(form, reach):
    objective = Objective({MS: 20.0}, form=form)
    assert objective.feasible({MS: 20.0}) and not objective.feasible({MS: 20.0001})
    assert objective.scored({MS: 20.0 * reach}) and not objective.scored({MS: 20.0 * reach + 0.001})


@given(st.sampled_from(FORMS), ANY, ANY, ANY)
def test_reward_is_always_finite(form, latency_ms, peak_bytes, quality):
    objective = Objective({MS: 20.0, KB: 1e5}, form=form)
    metrics = {MS: abs(latency_ms), KB: abs(peak_bytes), "accuracy": min(quality, 1.0)}
    assume(not quality < 0)
    assert math.isfinite(objective.reward(metrics))


@given(st.sampled_from(FORMS), st.floats(1e-6, 1.0), COST, QUALITY, QUALITY)
def test_scored_trials_beat_unscored_and_failed_ones(form, share, other_ms, quality, other_quality):
    objective = Objective({MS: 20.0}, form=form)
    scored_ms = 20.0 * SCORED_UP_TO[form] * share
    assert objective.scored({MS: scored_ms})
    reward = objective.reward({MS: scored_ms, "accuracy": quality})
    assert reward > objective.reward({MS: other_ms})
    assert reward > objective.reward({MS: other_ms, "accuracy": math.nan})
    if not objective.scored({MS: other_ms}):
        assert reward > objective.reward({MS: other_ms, "accuracy": other_quality})


@given(st.sampled_from(FORMS), st.floats(1.51, 99.0), st.floats(0.001, 0.1))
def test_less_excess_is_better(form, ratio, gain):
    objective = Objective({MS: 20.0}, form=form)
    assert objective.reward({MS: 20.0 * (ratio - gain + 0.1)}) > objective.reward({MS: 20.0 * (ratio + 0.1)})


def test_a_cost_that_is_not_a_number_is_infeasible_and_worst():
    objective = Objective({MS: 20.0})
    assert not objective.feasible({MS: math.nan}) and not objective.scored({MS: math.nan})
    assert objective.reward({MS: math.nan}) == objective.reward({MS: 1e12})


@pytest.mark.parametrize("form", FORMS)
def test_without_budgets_the_reward_is_the_quality(form):
    assert Objective({}, form=form).reward({"accuracy": 0.9}) == 0.9


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"budgets": {MS: 20.0}, "form": "firm"}, "firm"),
        ({"budgets": {MS: 0.0}}, MS),
        ({"budgets": {MS: -1.0}}, MS),
        ({"budgets": {MS: math.nan}}, MS),
        ({"budgets": {MS: math.inf}}, MS),
        ({"budgets": {MS: 20.0}, "form": "soft", "exponent": 0.07}, "0.07"),
        ({"budgets": {MS: 20.0}, "form": "soft", "exponent": math.nan}, "nan"),
    ],
)
def test_bad_fields_are_named(arguments, named):
    with pytest.raises(UsageError, match=named):
        Objective(**arguments)


def test_a_cost_of_zero_keeps_the_soft_reward_finite():
    assert math.isfinite(Objective({MS: 20.0}, form="soft").reward({MS: 0.0, "accuracy": 1.0}))


@given(st.floats(1e-3, 1e12), st.sampled_from([1.0, 1e6]))
def test_what_a_limit_asks_for_is_enough_and_not_much_more(value, unit):
    asked = replace(PARAMS, unit=unit).flag_for(value)
    assert value * (1 - 1e-9) <= unit * float(asked.removeprefix("--max-params ")) <= 1.02 * value


@pytest.mark.parametrize(
    "limits, words",
    [
        ([Limit(MS, 0.25, "--budget-ms ", "")], "0.25 ms"),
        ([Limit(MS, 20.0, "--budget-ms a=", "on a"), PARAMS], "20 ms on a and 1 M parameters"),
        (
            [PARAMS, PARAMS, Limit(KB, 2.5e6, "", "of activations")],
            "1 M parameters, 1 M parameters and 2.5 MB of activations",
        ),
    ],
)
def test_limits_read_as_a_sentence(limits, words):
    assert in_words(limits) == words
