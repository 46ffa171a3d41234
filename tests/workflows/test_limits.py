"""Whose latency, and how large."""

import pytest

from edgenas.workflows.config import make_config
from edgenas.workflows.limits import device_of, limits_of, split_budgets


@pytest.mark.parametrize(
    "budget_ms, here, further",
    [
        (None, None, {}),
        (8, 8, {}),
        ({"here": 8}, 8, {}),
        ({"here": 8, "pi5": 20}, 8, {"pi5": 20}),
        ({"pi5": 20}, None, {"pi5": 20}),
    ],
)
def test_here_is_this_machine(budget_ms, here, further):
    assert split_budgets(budget_ms) == (here, further)


@pytest.mark.parametrize(
    "settings, precision",
    [
        ({}, "fp32"),
        ({"precision": "int8"}, "int8"),
        ({"device": "pi5/onnxruntime-1t-int8"}, "int8"),
        ({"device": "pi5/onnxruntime-1t-int8", "precision": "fp32"}, "fp32"),
        ({"device": "pi5"}, "fp32"),
    ],
)
def test_the_precision_is_that_said_or_that_of_the_table(settings, precision):
    assert device_of(make_config(settings)).precision == precision


def test_this_machine_has_no_table_and_is_here():
    device = device_of(make_config({}))
    assert device.is_here and device.table is None
    assert not device_of(make_config({"device": "another/onnxruntime-1t-fp32"})).is_here


def test_every_limit_has_its_metric_flag_and_unit():
    config = make_config(
        {"budget_ms": 5, "budgets_ms": {"pi5": 20, "board": 9}, "max_params": 1e6, "max_memory_mb": 2, "max_file_mb": 3}
    )
    device = device_of(make_config({"device": "main/onnxruntime-1t-fp32"}))
    limits = limits_of(config, device, recorded={"board"})
    assert [(limit.metric, limit.bound) for limit in limits] == [
        ("latency_high_ms@main", 5.0),
        ("latency_high_ms@pi5", 20.0),
        ("latency_ms@board", 9.0),
        ("params", 1e6),
        ("peak_bytes", 2e6),
        ("file_bytes", 3e6),
    ]
    assert limits[1].flag_for(20.04) == "--budget-ms pi5=20.1" and limits[4].flag_for(2.5e6) == "--max-memory-mb 2.5"
