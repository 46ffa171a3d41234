"""The toy problem is one: options trade accuracy for latency, and a budget separates."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.exploration.feasible import uniform
from edgenas.testing.toy import GATE, ToyContext, ToySpace, noise, require, toy_problem

SPACE = ToySpace(4)


@pytest.mark.parametrize("share, low, high", [(0.1, 0.05, 0.6), (0.3, 0.4, 0.9), (1.0, 1.0, 1.0)])
def test_a_budget_separates(rng, share, low, high):
    problem = toy_problem(SPACE, share)
    assert low <= problem.feasible(uniform(SPACE, rng, 500)).mean() <= high


def test_larger_networks_are_slower_and_rather_more_accurate(rng):
    problem = toy_problem(SPACE, 0.5)
    archs = uniform(SPACE, rng, 300)
    costs = [list(metrics.values()) for metrics in problem.preview(archs)]
    rows = np.column_stack([costs, [problem.evaluator(arch)["accuracy"] for arch in archs]])
    assert list(problem.preview(archs[:1])[0]) == [GATE, "macs"]
    correlation = np.corrcoef(rows.T)
    assert correlation[0, 1] > 0.8 and 0.1 < correlation[1, 2] < 0.95
    assert (rows[:, 2] > 0).all() and (rows[:, 2] < 1).all()


def test_streams_and_images_follow_from_their_names():
    a, b = ToyContext(1), ToyContext(2)
    assert a.rng("x").random() == a.rng("x").random() != b.rng("x").random() != a.rng("y").random()
    assert noise(SPACE.shape, SPACE.classes) is noise(SPACE.shape, SPACE.classes)


def test_require_says_what_is_wrong():
    require(1, "never")
    with pytest.raises(AssertionError, match="so it is"):
        require([], "so it is")
