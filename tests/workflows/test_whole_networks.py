"""Trained networks at every resolution: what is known before anything is timed."""

from __future__ import annotations

import pytest

from edgenas.workflows.config import make_config
from edgenas.workflows.whole_networks import Baseline, Baselines, by_table, rounded_up, whole_networks

NAME = "tests.pretrained._networks:lite"


def test_the_named_network_stands_there_at_each_resolution_largest_first():
    rows = list(whole_networks(make_config({"pretrained": NAME, "image_size": 96})))
    assert [(row.name, row.resolution) for row in rows] == [(f"{NAME} {side}", side) for side in (96, 88, 80, 72, 64)]
    assert [row.macs for row in rows] == sorted((row.macs for row in rows), reverse=True)
    assert all(row.space.graph(row.arch).arch == row.arch for row in rows) and not rows[0].is_here


def test_without_a_name_all_that_are_known_are_looked_at():
    found = {row.network for row in whole_networks(make_config({"image_size": 64}))}
    assert {"efficientnet-lite0", "torchvision:mobilenet_v2"} <= found


def test_a_device_s_table_says_what_surely_fits():
    rows = list(whole_networks(make_config({"pretrained": NAME, "image_size": 96})))
    config = make_config({"device": "amd-epyc-zen4", "budget_ms": 1000})
    assert all(found.fits and found.measured_ms is None for found in by_table(config, rows))
    first = by_table(config, rows)[0]
    assert first.low_ms < first.predicted_ms < first.high_ms

    def fits_in(budget_ms: float) -> bool | None:
        return by_table(make_config({"device": "amd-epyc-zen4", "budget_ms": budget_ms}), rows)[0].fits

    assert fits_in(first.high_ms) is True
    assert fits_in(first.predicted_ms) is None, "the upper end of its interval is above"
    assert fits_in(0.99 * first.low_ms) is False


def row(network: str, side: int, fits: bool | None) -> Baseline:
    return Baseline(network, side, "0", side * 1e6, side, 0.9 * side, 1.1 * side, None, None, fits, True)


def test_of_each_network_that_fits_the_largest_is_named():
    found = Baselines((row("a", 128, None), row("a", 96, True), row("a", 64, True), row("b", 64, False)))
    assert [(row.network, row.resolution) for row in found.fitting] == [("a", 96)]


@pytest.mark.parametrize("ms, text", [(1.626, "1.7"), (1.7, "1.7"), (0.0421, "0.043"), (123.0, "130"), (9.99, "10")])
def test_a_budget_that_is_named_is_large_enough(ms, text):
    assert rounded_up(ms) == text
