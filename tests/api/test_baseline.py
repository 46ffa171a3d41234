"""`edgenas.baseline`: the settings of the command in, rows and perhaps a result out."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import edgenas
from edgenas.cli.baseline import SETTINGS
from tests.workflows.results import RESULT

ASKED = {"budget_ms": 2, "pretrained": "tests.pretrained._networks:lite", "image_size": 96}


def test_the_keywords_are_the_settings_of_the_command_and_all_are_described():
    parameters = set(inspect.signature(edgenas.baseline).parameters)
    assert parameters == {*SETTINGS, "train", "progress"}
    described = (edgenas.baseline.__doc__ or "").partition("Args:")[2].partition("Raises:")[0]
    assert all(name in described for name in parameters)


def test_rows_by_a_table():
    found = edgenas.baseline(**ASKED, device="amd-epyc-zen4")
    assert [row.resolution for row in found.rows] == [96, 88, 80, 72, 64] and found.result is None
    assert all(row.low_ms < row.predicted_ms < row.high_ms and row.measured_ms is None for row in found.rows)
    assert [row.resolution for row in found.fitting] == [r.resolution for r in found.rows if r.high_ms <= 2][:1]


def test_training_returns_the_result_of_its_run_too(fake, tmp_path):
    fake("baseline", answer=["a row"])
    training = fake("baseline_train", "train_baseline", answer=RESULT)
    found = edgenas.baseline("photos", **ASKED, train=True, output=tmp_path / "run", final_epochs=1)
    assert found.result is RESULT and found.rows == ("a row",)
    config, rows = training.calls[0][0][:2]
    assert (config.data, config.output, config.final_epochs, rows) == ("photos", str(tmp_path / "run"), 1, ("a row",))


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"output": "runs/x"}, "--output is of the run that --train makes"),
        ({"data": (np.zeros((2, 8, 8)), [0, 1])}, "give the folder of the images"),
        ({"pretrained": "no such network"}, "no such network"),
        ({"budget_ms": None}, "--budget-ms: say how many milliseconds"),
    ],
)
def test_what_cannot_be_is_refused(wrong, says):
    with pytest.raises(edgenas.UsageError, match=says):
        edgenas.baseline(**{**ASKED, "device": "amd-epyc-zen4", **wrong})
