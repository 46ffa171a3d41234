"""Which finalist is delivered, and what is said where none can be."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgenas.exploration.objective import Limit
from edgenas.training.train import Scores
from edgenas.workflows.config import Config
from edgenas.workflows.stages.artefacts import Figure, Folds, Verdict
from edgenas.workflows.stages.deliver import best_first, none_met


@pytest.mark.parametrize(
    ("accuracy", "loss", "teacher", "expected"),
    [
        # A standard error of 300 images at 90 % is 1.7 points.
        ([0.900, 0.893, 0.860], [0.40, 0.35, 0.30], True, [1, 0, 2]),
        ([0.900, 0.893, 0.860], [0.40, 0.35, 0.30], False, [0, 1, 2]),
        ([0.900, 0.900], [0.30, 0.40], True, [0, 1]),
        ([0.860, 0.900, 0.865], [0.50, 0.40, 0.60], True, [1, 0, 2]),
    ],
)
@pytest.mark.parametrize("by_folds", [False, True])
def test_cuts_that_accuracy_does_not_tell_apart_go_by_cross_entropy(accuracy, loss, teacher, expected, by_folds):
    data = SimpleNamespace(validation=range(30 if by_folds else 300))
    task = SimpleNamespace(data=data, task=SimpleNamespace(teacher="teacher" if teacher else None))
    finalists = {
        number: SimpleNamespace(code=str(number), scores=Scores(0.5, 0.5 if by_folds else nats, 300))
        for number, nats in enumerate(loss)
    }
    shares = dict(enumerate(accuracy))
    folds = Folds(3, 300, {}, {str(number): nats for number, nats in enumerate(loss)}) if by_folds else None
    assert best_first(task, finalists, shares, folds) == expected


def priced(max_file_mb=None):
    config = Config(budget_ms=20, max_file_mb=max_file_mb)
    limits = [Limit("latency_high_ms@here", 20.0, "--budget-ms ", "")]
    return SimpleNamespace(config=config, task=SimpleNamespace(device=SimpleNamespace(precision="fp32"), limits=limits))


def missed(ms, too_large=None):
    return Verdict(False, "fp32", "", {"fp32": Figure(ms, ms, 0.01, 1)} if ms else {}, too_large)


@pytest.mark.parametrize(
    "verdicts, message",
    [
        (
            [missed(30.0), missed(25.0)],
            "none of 2 finalists met 20 ms: the closest was predicted 19.000 ms, measured 25.000 ms",
        ),
        (
            [missed(5.0, 1_100_000), missed(5.0, 1_200_000)],
            "none of 2 finalists has a file of 1 MB or less: the smallest is 1.1 MB; raise --max-file-mb",
        ),
        ([missed(5.0, 1_100_000), missed(25.0)], "the closest was predicted 18.000 ms, measured 5.000 ms"),
        ([missed(None)], "no finalist runs in fp32"),
    ],
)
def test_the_error_names_by_how_much_all_missed(verdicts, message):
    assert message in str(none_met(priced(max_file_mb=1), verdicts, [18.0, 19.0][: len(verdicts)]))
