from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgenas.errors import BudgetError
from edgenas.workflows.config import Config
from edgenas.workflows.pipeline import _check_files
from edgenas.workflows.stages.deliver import judged

FAST, SLOW = ({"ms": ms, "p90_ms": ms, "repeat_error": 0.01, "threads": 1} for ms in (5.0, 25.0))


def run(precision="fp32", max_file_mb=None):
    return SimpleNamespace(config=Config(budget_ms=20, max_file_mb=max_file_mb), precision=precision)


def exported(fp32_bytes, int8_bytes):
    sizes, accuracy = {"fp32": fp32_bytes, "int8": int8_bytes}, {"fp32": 0.9, "int8": int8_bytes and 0.9}
    return {"accuracy": accuracy, "file_bytes": sizes, "reason": ""}


@pytest.mark.parametrize(
    "precision, limit_mb, sizes, timings, met, too_large, default",
    [
        ("fp32", None, (2_000_000, 500_000), {"fp32": SLOW, "int8": FAST}, False, None, "int8"),
        ("fp32", 2.0, (2_000_000, 500_000), {"fp32": FAST, "int8": SLOW}, True, None, "fp32"),
        ("fp32", 1.9, (2_000_000, 500_000), {"fp32": FAST}, False, 2_000_000, "fp32"),
        ("fp32", 1.9, (2_000_000, 500_000), {}, False, 2_000_000, "fp32"),
        ("fp32", 2.0, (2_000_000, 2_000_001), {"fp32": SLOW, "int8": FAST}, False, None, "fp32"),
        ("int8", 1.0, (2_000_000, 500_000), {}, None, None, "int8"),
        ("int8", 0.4, (2_000_000, 500_000), {"int8": FAST}, False, 500_000, "int8"),
        ("int8", 1.0, (2_000_000, None), {}, False, None, "int8"),
    ],
)
def test_a_file_above_its_limit_misses_whatever_its_speed(precision, limit_mb, sizes, timings, met, too_large, default):
    value = judged(run(precision, limit_mb), exported(*sizes), timings)
    assert (value["met"], value["too_large"], value["default"]) == (met, too_large, default)


def test_files_that_are_all_too_large_are_named():
    _check_files(run(max_file_mb=1), [{"too_large": None}, {"too_large": 1_200_000}])
    with pytest.raises(BudgetError, match=r"none of 2 finalists has a file of 1 MB or less: the smallest is 1\.1 MB"):
        _check_files(run(max_file_mb=1), [{"too_large": 1_100_000}, {"too_large": 1_200_000}])
