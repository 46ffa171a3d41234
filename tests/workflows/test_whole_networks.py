"""Trained networks at every resolution: what is known before anything is timed."""

from __future__ import annotations

from edgenas.workflows.config import make_config
from edgenas.workflows.whole_networks import by_table, whole_networks

NAME = "tests.pretrained._networks:lite"


def test_the_named_network_stands_there_at_each_resolution_largest_first():
    rows = list(whole_networks(make_config({"pretrained": NAME, "image_size": 96})))
    assert [(row.name, row.resolution) for row in rows] == [(f"{NAME} {side}", side) for side in (96, 80, 64)]
    assert [row.macs for row in rows] == sorted((row.macs for row in rows), reverse=True)
    assert all(row.space.graph(row.arch).arch == row.arch for row in rows) and not rows[0].is_here


def test_without_a_name_all_that_are_known_are_looked_at():
    found = {row.network for row in whole_networks(make_config({"image_size": 64}))}
    assert {"efficientnet-lite0", "torchvision:mobilenet_v2"} <= found


def test_a_device_s_table_says_what_surely_fits():
    rows = list(whole_networks(make_config({"pretrained": NAME, "image_size": 96})))
    config = make_config({"device": "amd-epyc-zen4", "budget_ms": 1000})
    assert all(found.fits and found.measured_ms is None for found in by_table(config, rows))
    tight = make_config({"device": "amd-epyc-zen4", "budget_ms": by_table(config, rows)[0].predicted_ms})
    assert not by_table(tight, rows)[0].fits, "the upper end of its interval is above"
