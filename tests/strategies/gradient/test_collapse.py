"""Collapse detection: skip connections that are too many, and a loss that turns sharp."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.spaces.build import build_space
from edgenas.strategies.gradient.collapse import (
    MOST_SKIPS,
    CollapseDetector,
    Eigenvalue,
    collapsed,
    full_cells,
    skips_by_cell,
)
from tests.strategies._synthetic import built, synthetic
from tests.strategies.gradient._training import skipping, training


@pytest.mark.parametrize("learns", [True, False])
def test_a_full_cell_loses_its_least_likely_skips_and_no_others(learns):
    space = skipping()
    t = training(problem=synthetic(space, 0.4))
    t.step, t.learns = t.steps - 1, learns
    with torch.no_grad():
        t.alphas.logits[:, 0] = 3.0 + torch.arange(6)
    assert len(skips_by_cell(space, t.alphas.decode())[""]) == 6
    guard = CollapseDetector(t)
    guard.check()
    assert skips_by_cell(space, t.alphas.decode())[""] == ["k3", "k4", "k5"] and len(guard.notes) >= 1
    assert guard.withdrawn == 6 - MOST_SKIPS


def test_skips_that_nothing_else_is_offered_for_stay():
    space = skipping(**{f"k{i}": [0] for i in range(5)})
    t = training(problem=synthetic(space, 0.4))
    t.step = t.steps - 1
    CollapseDetector(t).check()
    assert skips_by_cell(space, t.alphas.decode())[""] == [f"k{i}" for i in range(5)]


@pytest.mark.parametrize("guards", ["on", "off"])
def test_a_guarded_search_draws_no_full_cells(guards):
    strategy = built("gdas", synthetic(skipping(), 0.8), guards=guards)
    t = strategy.training
    with torch.no_grad():
        t.alphas.logits[:, 0] = 1.0
    drawn = strategy._likely(np.random.default_rng(0))[1:]  # behind the alphas' own
    assert len(drawn) > 10 and any(full_cells(t.alphas.space, arch) for arch in drawn) == (guards == "off")


@pytest.mark.parametrize(("growth", "noticed"), [(1.0, False), (1.02, False), (1.1, True)])
def test_the_largest_eigenvalue_is_found_and_its_rise_is_noticed(growth, noticed):
    curvature = torch.diag(torch.tensor([1.0, 5.0, 2.0]))
    eigenvalue = Eigenvalue()
    rises = [
        eigenvalue.rises(lambda a, factor=growth**check: factor * curvature @ a, torch.zeros(3), iterations=20)
        for check in range(12)
    ]
    assert eigenvalue.values[-1] == pytest.approx(5 * growth**11, rel=1e-3) and any(rises) == noticed


def test_a_collapsed_network_is_told_of():
    space = skipping()

    def arch(kernel):
        own = {"width": 0, "depth": 2} | {f"e{i}": 1 for i in range(6)}
        return tuple(own.get(choice.name, kernel) for choice in space.choices)

    (line,) = collapsed(space, arch(kernel=0))
    assert line.startswith("collapse: cell (all) has 6 skip connections") and "guards=on" in line
    assert collapsed(space, arch(kernel=1)) == []


def test_one_op_everywhere_is_told_of():
    space = build_space("nasbench201", (3, 32, 32), 10)
    mixed = tuple(i % 4 + 1 for i, _ in enumerate(space.choices))
    assert collapsed(space, (3,) * 6) == ["collapse: all 6 choices take nor_conv_3x3"]
    assert collapsed(space, mixed) == []
