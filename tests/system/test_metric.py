"""Metrics and their text, which is the one that runs and bundles of before hold."""

from __future__ import annotations

import pytest

from edgenas.system.metric import Metric


@pytest.mark.parametrize(
    "text, metric, is_latency",
    [
        ("macs", Metric("macs"), False),
        ("peak_bytes", Metric("peak_bytes"), False),
        ("latency_ms@pi5", Metric("latency_ms", "pi5"), True),
        (
            "latency_high_ms@pi5/onnxruntime-1t-fp32",
            Metric("latency_high_ms", "pi5/onnxruntime-1t-fp32"),
            True,
        ),
        ("trained_params", Metric("params", trained=True), False),
        ("trained_latency_high_ms@a b", Metric("latency_high_ms", "a b", trained=True), True),
    ],
)
def test_text_and_value(text, metric, is_latency):
    assert Metric.parse(text) == metric and str(metric) == text
    assert metric.is_latency == is_latency


def test_the_same_quantity_of_another_table():
    assert str(Metric.parse("latency_low_ms@pi5").on("here")) == "latency_low_ms@here"
