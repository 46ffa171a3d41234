"""Which trained network is fine-tuned, and when none is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edgenas.errors import BudgetError, UsageError
from edgenas.system.progress import SilentReporter
from edgenas.workflows import search as search_module
from edgenas.workflows.baseline_train import refuse_without_training, train_baseline, trainable
from edgenas.workflows.config import make_config
from edgenas.workflows.whole_networks import Baseline

HERE, ELSEWHERE = make_config({"budget_ms": 2}), make_config({"budget_ms": 2, "device": "pi5"})


def row(network: str, fits: bool | None, is_here: bool = True) -> Baseline:
    return Baseline(network, 96, "0", 1e6, 1.9, 1.8, 2.1, None, None, fits, is_here)


UNKNOWN = replace(row("a", None, is_here=False), high_ms=math.inf)


@pytest.mark.parametrize(
    "config, fits, chosen",
    [
        (HERE, {"a": True, "b": None, "c": False}, ["a"]),
        (HERE, {"a": False, "b": None, "c": None}, ["b", "c"]),  # the search measures again
        (ELSEWHERE, {"a": True, "b": None}, ["a"]),
    ],
)
def test_what_fits_for_certain_goes_before_what_may(config, fits, chosen):
    assert [row.network for row in trainable(config, [row(*pair) for pair in fits.items()])] == chosen


@pytest.mark.parametrize(
    "config, rows, says",
    [
        (HERE, [row("a", False)], "no trained network fits 2 ms: the fastest, a at 96 pixels"),
        (ELSEWHERE, [row("a", None)], "is sure to fit 2 ms on pi5"),
        (HERE, [UNKNOWN], "ask for --budget-ms 2.1 or more"),
        (HERE, [row("a", False), row("b", True, is_here=False)], "of those that do, b is the first: add --download"),
    ],
)
def test_nothing_is_trained_where_nothing_fits(config, rows, says):
    with pytest.raises(BudgetError, match=says):
        train_baseline(config, rows, SilentReporter())


def test_a_setting_of_a_run_is_refused_where_none_is_made():
    refuse_without_training(["budget_ms", "data"])
    with pytest.raises(UsageError, match="--output is of the run that --train makes"):
        refuse_without_training(["budget_ms", "output"])


def test_a_run_that_is_resumed_goes_on_with_its_network(monkeypatch):
    asked = []
    monkeypatch.setattr(search_module, "search", lambda config, *rest: asked.append(config))
    config = replace(HERE, resume=True, output="runs/x")
    with pytest.raises(UsageError, match="runs/x was not begun by `edgenas baseline --train`"):
        train_baseline(config, [], SilentReporter())
    train_baseline(replace(config, pretrained="efficientnet-lite0"), [], SilentReporter())
    assert [(config.pretrained, config.evaluator) for config in asked] == [("efficientnet-lite0", "features")]
