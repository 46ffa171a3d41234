"""Names are checked before anything is done, and a refused run leaves its folder free."""

import numpy as np
import pytest

from edgenas.errors import UnknownName, UsageError
from edgenas.system.run_folder import check_format, write_format
from edgenas.workflows.config import make_config
from edgenas.workflows.given import Given
from edgenas.workflows.setup import completed, has_own_weights, output_path, plain_task


@pytest.mark.parametrize(
    "settings, error, message",
    [
        ({}, UsageError, "--budget-ms: say how many"),
        ({"budget_ms": 1, "data": "digitz"}, UnknownName, "digits"),
        ({"budget_ms": 1, "space": "mbconw"}, UnknownName, "mbconv"),
        ({"budget_ms": 1, "strategy": "randum"}, UnknownName, "random"),
        ({"budget_ms": 1, "evaluator": "supernetz"}, UnknownName, "supernet"),
        ({"budget_ms": 1, "runtime": "onnxruntimes"}, UnknownName, "onnxruntime"),
        (
            {"budget_ms": 1, "strategy": "gdas", "evaluator": "scratch"},
            UsageError,
            "trains its own weights",
        ),
        ({"budget_ms": 1, "evaluator": "shared"}, UsageError, "the strategy trains no weights"),
    ],
)
def test_a_wrong_name_is_refused_at_once(settings, error, message):
    with pytest.raises(error, match=message):
        completed(make_config(settings), Given())


@pytest.mark.parametrize("strategy, evaluator", [("random", "supernet"), ("gdas", "shared"), ("oneshot", "shared")])
def test_the_evaluator_is_the_strategy_s(strategy, evaluator):
    config = completed(make_config({"budget_ms": 1, "strategy": strategy}), Given())
    assert config.evaluator == evaluator


@pytest.mark.parametrize(
    "evaluator, own", [("scratch", True), ("supernet", False), ("shared", False), ("tabular", False)]
)
def test_which_evaluators_can_run_anywhere(evaluator, own):
    assert has_own_weights(evaluator) is own


def test_a_run_without_a_name_is_named_by_the_time():
    assert output_path(make_config({})).parent.name == "runs"
    with pytest.raises(UsageError, match="--resume needs --output"):
        output_path(make_config({"resume": True}))


def test_a_run_of_another_format_is_refused_by_number_and_version(tmp_path):
    with pytest.raises(UsageError, match=r"its format is 1, written by edgenas 0\.1\.0, and this version reads"):
        check_format(tmp_path)
    write_format(tmp_path, "0.2.0")
    check_format(tmp_path)


def test_images_that_are_no_squares_are_refused_before_anything_is_trained():
    images, labels = np.zeros((60, 24, 20, 3), np.uint8), np.arange(60) % 3
    images += np.arange(60, dtype=np.uint8)[:, None, None, None]
    with pytest.raises(UsageError, match="arrays: images of 24 x 20 pixels; networks are trained on squares"):
        plain_task(make_config({"space": "chain"}), Given(data=(images, labels)))
