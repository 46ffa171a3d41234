"""What is delivered, and whether it was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgenas.exporters.metadata import Measured

UNKNOWN = Measured(None, None, None, 0.9)


@pytest.mark.parametrize(
    "changes, delivered, measured",
    [
        ({}, ["fp32", "int8"], True),
        ({"int8": None}, ["fp32"], True),
        ({"fp32": UNKNOWN}, ["fp32", "int8"], True),
        ({"fp32": UNKNOWN, "int8": UNKNOWN}, ["fp32", "int8"], False),
        ({"fp32": UNKNOWN, "int8": None}, ["fp32"], False),
    ],
)
def test_models_and_whether_a_latency_was_measured(metadata, changes, delivered, measured):
    changed = replace(metadata, **changes)
    assert list(changed.delivered) == delivered
    assert changed.is_measured == measured
