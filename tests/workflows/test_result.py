from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from edgenas.errors import UsageError
from edgenas.workflows.result import Result, plain
from tests.workflows.results import RESULT

FIELDS = """met_budget budget_ms device runtime threads precision predicted_ms predicted_low_ms predicted_high_ms
measured_ms measured_p90_ms repeat_error largest_ms smallest_ms validation_accuracy test_accuracy onnx_test_accuracy
int8_test_accuracy int8_measured_ms macs params peak_bytes file_bytes limits space arch genotype choices strategy
evaluator data seed trials feasible_trials hypervolume reference_point test_reads seconds file bundle front
source balanced_accuracy recall confusion measurement delivered controls""".split()


def test_the_json_has_these_fields_in_this_order():
    assert list(json.loads(RESULT.to_json())) == FIELDS


def test_a_result_survives_json():
    assert Result.from_json(RESULT.to_json()) == RESULT


def test_json_knows_no_nan_and_no_numpy():
    odd = replace(
        RESULT, repeat_error=math.nan, measured_p90_ms=math.inf, macs=np.int64(7), seconds={"x": np.float32(0.5)}
    )
    loaded = json.loads(odd.to_json())
    assert loaded["repeat_error"] is loaded["measured_p90_ms"] is None
    assert (loaded["macs"], loaded["seconds"], loaded["met_budget"]) == (7, {"x": 0.5}, True)


@pytest.mark.parametrize(
    "value, expected",
    [
        (np.float64("nan"), None),
        ({1: (np.int32(2), -math.inf)}, {"1": [2, None]}),
        (True, True),
        ("text", "text"),
        (None, None),
    ],
)
def test_plain_is_what_json_can_hold(value, expected):
    assert plain(value) == expected and type(plain(value)) is type(expected)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"met_budget": true}', RESULT.to_json()[:-1] + ', "more": 1}'])
def test_other_json_is_refused(content):
    with pytest.raises(UsageError, match="not a result"):
        Result.from_json(content)


def test_a_run_that_was_moved_is_found_where_it_is(tmp_path):
    moved = RESULT.at(tmp_path)
    assert moved.path == tmp_path and moved == replace(RESULT, bundle=str(tmp_path))
