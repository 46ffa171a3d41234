from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.cli.summary import FRONT_ROWS, _thinned, summary
from tests.workflows.results import RESULT, UNMEASURED, front


def test_whose_weights_were_used_is_told():
    shown = summary(replace(RESULT, source="runs one"), [], [])
    assert "on the weights of runs one" in shown
    assert "on the weights" not in summary(RESULT, [], [])


def test_the_summary_says_what_was_measured_and_how_sure_that_is():
    shown = summary(RESULT, front(5, mine=2), ["the budget does not bind"], {"test": 400, "validation": 99})
    for text in (
        "Budget met: 18.42 ms ± 1.2 % measured, 20 ms allowed",
        "runs/one/model.onnx",
        "92 % of the budget",
        "predicted 18.20 ms (17.40 to 19.10)",
        "test 96.00 % ± 0.98, validation 99.00 % ± 1.00",
        "9.870 ms, test 95.50 % ± 1.04",
        "12.3 M MACs",
        "200 trials, 143 of them feasible",
        "1 min 51 s (supernet 1 min 10 s, profile 41 s)",
        "* 3.000  ██",
        "note: the budget does not bind",
    ):
        assert text in shown, text


@pytest.mark.parametrize(
    "changes, text",
    [
        (
            {"met_budget": False, "measured_ms": 21.3},
            "Budget missed: 21.30 ms ± 1.2 % measured, 18.20 ms predicted, 20 ms",
        ),
        ({"met_budget": None, "budget_ms": None}, "No budget was given: 18.42 ms ± 1.2 % measured"),
        (UNMEASURED, "Budget not confirmed: 18.20 ms predicted (17.40 to 19.10), 20 ms allowed; nothing was measured"),
    ],
)
def test_the_verdict(changes, text):
    assert summary(replace(RESULT, **changes), front(3), []).startswith(text)


def test_what_there_is_not_is_not_shown():
    shown = summary(replace(RESULT, int8_measured_ms=None, int8_test_accuracy=None), [], [])
    assert "int8" not in shown and "front" not in shown and "note" not in shown


def test_the_worst_class_is_shown():
    assert "balanced 94.5 %; of 'dog', the worst class, 90.0 % are found" in summary(RESULT, [], [])
    assert "balanced" not in summary(replace(RESULT, balanced_accuracy=None, recall={}), [], [])


@pytest.mark.parametrize(
    "runtime, there", [("onnxruntime", "python run.py --threads 1"), ("onnxruntime-web-chromium", "open index.html")]
)
def test_what_is_not_measured_comes_with_the_commands_that_measure_it(runtime, there):
    shown = summary(replace(RESULT, **UNMEASURED, runtime=runtime, bundle="runs/a b"), [], [])
    assert "edgenas kit --bundle 'runs/a b'" in shown and there in shown
    assert shown.endswith("edgenas ingest confirmed.jsonl --bundle 'runs/a b'\n")


def test_names_cannot_break_lines():
    shown = summary(replace(RESULT, data="a\nb\x1b[2J", bundle="runs/ü\n"), front(2), ["class\r'x'"])
    assert "a\\nb\\x1b[2J" in shown and "\r" not in shown and "\x1b" not in shown


@pytest.mark.parametrize("width", [100, 80])
def test_the_front_fits_the_terminal_and_codes_stay_whole(width):
    shown = summary(RESULT, front(30, mine=17), ["a long note " * 20], None, width).split("Pareto")[1]
    assert max(map(len, shown.splitlines())) <= width
    assert [line for line in shown.splitlines() if line.startswith("* ")][0].endswith(RESULT.arch)


@given(st.integers(1, 60), st.integers(0, 70))
def test_a_long_front_keeps_its_ends_and_the_delivered_point(points, mine):
    whole = front(points, mine)
    kept = _thinned(whole, FRONT_ROWS, RESULT.arch)
    assert len(kept) == min(points, FRONT_ROWS)
    assert kept[0] == whole[0] and kept[-1] == whole[-1]
    assert [point for point in whole if point in kept] == kept
    assert mine >= points or whole[mine] in kept


def test_limits_and_what_is_used_of_them_are_shown():
    limits = [
        {"metric": "latency_ms@pixel3/ort-1t-int8", "allowed": 20.0, "used": 18.2, "low": 17.9, "high": 19.0},
        {"metric": "params", "allowed": 1e6, "used": 912_000},
        {"metric": "peak_bytes", "allowed": 2e6, "used": 1.5e6},
        {"metric": "file_bytes", "allowed": 1e6, "used": 998_000},
    ]
    shown = summary(replace(RESULT, limits=limits), [], []).splitlines()
    first = next(i for i, line in enumerate(shown) if line.startswith("  limits"))
    assert [line.removeprefix("  limits").strip() for line in shown[first : first + 4]] == [
        "pixel3/ort-1t-int8: predicted 18.20 ms (17.90 to 19.00), not measured, 20 ms allowed",
        "912 k of 1 M parameters, 91 %",
        "1.5 MB of 2 MB of activations, 75 %",
        "998 kB of 1 MB for the file, 100 %",
    ]


def test_the_hypervolume_comes_with_its_reference_point():
    corner = {"accuracy": 0.5, "latency_high_ms@pixel3": 19.5, "params": 9e5}
    shown = " ".join(summary(replace(RESULT, hypervolume=0.123456, reference_point=corner), front(3), []).split())
    assert "hypervolume 12.3 % of the box up to 100 % accuracy at no cost; reference point, the worst" in shown
    assert "19.50 ms as the upper end on pixel3, 900 k parameters" in shown
    assert "hypervolume" not in summary(RESULT, front(3), [])


@pytest.mark.parametrize(
    "changes, text",
    [
        ({}, "this space reaches from 2.100 to 48.30 ms"),
        ({"measured_ms": 1.9}, "this space reaches from 1.900 to 48.30 ms"),  # the fastest is never above the delivered
        ({"measured_ms": 50.0}, "this space reaches from 2.100 to 50.00 ms"),
        ({**UNMEASURED, "predicted_ms": 2.0}, "this space reaches from 2.000 to 48.30 ms"),
        ({"source": "runs/a"}, "the sizes that its weights were trained for reach from 2.100 to 48.30 ms"),
    ],
)
def test_how_far_the_networks_reach_that_were_looked_at(changes, text):
    assert text in summary(replace(RESULT, **changes), [], [])


@pytest.mark.parametrize("points", [1, 5, 30])
def test_a_delivered_point_that_is_beaten_stands_beside_the_front(points):
    mine = {"latency_ms": 3.5, "accuracy": 0.5, "macs": 1e6, "params": 1e5, "arch": RESULT.arch}
    shown = summary(replace(RESULT, delivered=mine), front(points), [])
    head, *lines = shown[shown.index("Pareto front") :].splitlines()
    count = f"{FRONT_ROWS} of 30 points" if points > FRONT_ROWS else "1 point:" if points == 1 else f"{points} points"
    assert count in head
    at = next(i for i, line in enumerate(lines) if line.startswith("* "))
    assert lines[at - 1].startswith("not on the front") and lines[at].endswith(RESULT.arch)
    assert lines[at + 1] == "* the model that was delivered"


def test_a_delivered_point_of_the_front_is_marked_where_it_stands():
    on_it = front(5, mine=2)
    shown = summary(replace(RESULT, delivered=on_it[2]), on_it, [])
    assert "not on the front" not in shown and shown.count(RESULT.arch) == 2  # in the facts, and in the front
