"""What trained networks take as they are: priced from two measurements each, measured where that decides."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgenas.cost.counts import CountCost
from edgenas.errors import UsageError
from edgenas.runtimes import reference
from edgenas.runtimes.summary import Timing
from edgenas.system.progress import SilentReporter
from edgenas.workflows import baseline as module
from edgenas.workflows.baseline import baseline
from edgenas.workflows.config import make_config
from edgenas.workflows.stages.artefacts import Figure

NAME = "tests.pretrained._networks:lite"
NS_PER_MAC, CALL_MS = 0.01, 0.01


def ms(macs: float) -> float:
    return CALL_MS + 1e-6 * NS_PER_MAC * macs


@pytest.fixture
def timed(monkeypatch):
    """A machine on which a call costs CALL_MS and a MAC ten picoseconds; the graphs that were timed, by name."""
    return machine(monkeypatch)


def machine(monkeypatch, reference_ms: float = 0.05, **timing):
    """The graphs that were timed on a machine, which repeats as `timing` says, its reference at `reference_ms`."""
    asked = {}

    def time_graphs(graphs, *conditions, **settings):
        asked.update(graphs)
        found = {name: timed_as(ms(CountCost("macs")(graph)), **timing) for name, graph in graphs.items()}
        return found | {reference.NAME: timed_as(reference_ms)}

    monkeypatch.setattr(module, "time_graphs", time_graphs)
    monkeypatch.setattr(module, "cached_table", lambda *conditions: SimpleNamespace(reference_ms=0.05))
    return asked


def timed_as(ms: float, repeat_error: float = 0.01, clean_share: float = 1.0) -> Timing:
    return Timing(ms=ms, p90_ms=ms, repeat_error=repeat_error, runs=10, clean_share=clean_share)


def rows(budget_ms: float, **changes):
    config = make_config({"budget_ms": budget_ms, "pretrained": NAME, "image_size": 128, **changes})
    return baseline(config, SilentReporter())


def test_every_resolution_is_priced_and_those_near_the_budget_are_measured(timed):
    at = {row.resolution: row.macs for row in rows(1.0)}
    assert list(at) == [128, 120, 112, 104, 96, 88, 80, 72, 64]
    budget_ms = ms(at[96]) * 1.02
    timed.clear()
    found = rows(budget_ms)
    assert [row.fits for row in found] == [False] * 4 + [True] * 5
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


@pytest.mark.parametrize(
    "repeat_error, reference_ms, above, fits",
    [
        (0.01, 0.05, 1.02, True),
        (0.01, 0.05, 1.005, False),  # the high end decides, and on a quiet machine it is known
        (0.059, 0.05, 1.015, None),  # 2.956 ms ± 5.9 % under a budget of 3 ms
        (0.059, 0.05, 1.07, True),
        (0.01, 0.06, 1.005, None),  # other programs had the machine
        (0.01, 0.06, 0.8, None),
        (0.01, 0.06, 0.6, False),
    ],
)
def test_what_fits_is_decided_as_for_a_delivered_model(monkeypatch, repeat_error, reference_ms, above, fits):
    machine(monkeypatch, reference_ms, repeat_error=repeat_error)
    at = {row.resolution: row.macs for row in rows(1.0)}
    budget_ms = above * ms(at[96])
    (found,) = [row for row in rows(budget_ms) if row.resolution == 96]
    figure = Figure(found.measured_ms, None, found.repeat_error, slowed=reference_ms / 0.05)
    assert found.fits is fits is figure.keeps(budget_ms)
    assert found.low_ms <= found.measured_ms <= found.high_ms == pytest.approx(found.measured_ms * (1 + repeat_error))


def test_what_was_only_predicted_never_fits_by_less_than_predictions_err(timed):
    for budget_ms in (0.3 * ms(1e6), ms(1e6), 3 * ms(1e6), 10 * ms(1e6)):
        for row in rows(budget_ms):
            if row.measured_ms is None:
                assert row.fits is (row.high_ms <= budget_ms) and row.fits is not (row.low_ms > budget_ms)
