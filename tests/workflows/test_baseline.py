"""What trained networks take as they are: priced from two measurements each, measured where that decides."""

from __future__ import annotations

import pytest

from edgenas.cost.counts import CountCost
from edgenas.errors import BudgetError, UsageError
from edgenas.runtimes.summary import Timing
from edgenas.system.progress import SilentReporter
from edgenas.workflows import baseline as module
from edgenas.workflows.baseline import baseline, train_baseline
from edgenas.workflows.config import make_config

NAME = "tests.pretrained._networks:lite"
NS_PER_MAC, CALL_MS = 0.01, 0.01


def ms(macs: float) -> float:
    return CALL_MS + 1e-6 * NS_PER_MAC * macs


@pytest.fixture
def timed(monkeypatch):
    """A machine on which a call costs CALL_MS and a MAC ten picoseconds; the graphs that were timed, by name."""
    asked = {}

    def time_graphs(graphs, *conditions, **settings):
        asked.update(graphs)
        return {name: timing(ms(CountCost("macs")(graph))) for name, graph in graphs.items()}

    monkeypatch.setattr(module, "time_graphs", time_graphs)
    return asked


def timing(ms: float) -> Timing:
    return Timing(ms=ms, p90_ms=ms, repeat_error=0.01, runs=10, clean_share=1.0)


def rows(budget_ms: float, **changes):
    config = make_config({"budget_ms": budget_ms, "pretrained": NAME, "image_size": 128, **changes})
    return baseline(config, SilentReporter())


def test_every_resolution_is_priced_and_those_near_the_budget_are_measured(timed):
    at = {row.resolution: row.macs for row in rows(1.0)}
    assert list(at) == [128, 112, 96, 80, 64]
    budget_ms = ms(at[96]) * 1.02
    timed.clear()
    found = rows(budget_ms)
    assert [row.fits for row in found] == [False, False, True, True, True]
    assert all(row.predicted_ms == pytest.approx(ms(row.macs)) for row in found)
    measured = {row.resolution for row in found if row.measured_ms is not None}
    assert {96, 64} <= measured, "the middle and the smallest, and what is near the budget"
    assert {f"{NAME} {side}" for side in measured} == set(timed)


def test_a_budget_is_asked_for():
    with pytest.raises(UsageError, match="--budget-ms: say how many"):
        baseline(make_config({"pretrained": NAME}), SilentReporter())


def test_another_device_s_table_prices_without_measuring(timed):
    found = rows(1.0, device="amd-epyc-zen4")
    assert not timed and all(row.measured_ms is None and row.predicted_ms > 0 for row in found)


def test_nothing_is_trained_where_nothing_fits(timed):
    found = rows(1e-3)
    with pytest.raises(BudgetError, match="no trained network that is here fits 0.001 ms"):
        train_baseline(make_config({"budget_ms": 1e-3}), found, SilentReporter())
