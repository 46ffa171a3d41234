"""What is said where no finalist can be delivered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgenas.exploration.objective import Limit
from edgenas.workflows.config import Config
from edgenas.workflows.stages.artefacts import Figure, Verdict
from edgenas.workflows.stages.deliver import none_met


def priced(max_file_mb=None):
    config = Config(budget_ms=20, max_file_mb=max_file_mb)
    limits = [Limit("latency_high_ms@here", 20.0, "--budget-ms ", "")]
    return SimpleNamespace(config=config, task=SimpleNamespace(device=SimpleNamespace(precision="fp32"), limits=limits))


def missed(ms, too_large=None):
    return Verdict(False, "fp32", "", {"fp32": Figure(ms, ms, 0.01, 1)} if ms else {}, too_large)


@pytest.mark.parametrize(
    "verdicts, message",
    [
        ([missed(30.0), missed(25.0)], "none of 2 finalists met 20 ms: the closest was measured 25.000 ms"),
        (
            [missed(5.0, 1_100_000), missed(5.0, 1_200_000)],
            "none of 2 finalists has a file of 1 MB or less: the smallest is 1.1 MB; raise --max-file-mb",
        ),
        ([missed(5.0, 1_100_000), missed(25.0)], "the closest was measured 5.000 ms"),
        ([missed(None)], "no finalist runs in fp32"),
    ],
)
def test_the_error_names_by_how_much_all_missed(verdicts, message):
    assert message in str(none_met(priced(max_file_mb=1), verdicts))
