"""What a kit holds."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from edgenas.devices.probes import random_model
from edgenas.errors import UsageError
from edgenas.exporters.session import outputs
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import distinct_nodes
from edgenas.workflows.config import make_config
from edgenas.workflows.kit_content import (
    CHOSEN_NETS,
    CHOSEN_OPS,
    CHOSEN_TESTS,
    KIT_NETS,
    KIT_TESTS,
    KitOptions,
    content,
)
from tests._toys import Shared

OWN = "tests.pretrained._networks:lite"
LITE = make_config({"pretrained": "efficientnet-lite0"})


@pytest.mark.parametrize(
    "config, changes, expected",
    [
        ({}, {}, (None, KIT_NETS, KIT_TESTS)),
        ({}, {"ops": 30, "nets": 9, "tests": 0}, (30, 9, 0)),
        ({"pretrained": OWN}, {}, (CHOSEN_OPS, CHOSEN_NETS, CHOSEN_TESTS)),
        ({"pretrained": OWN}, {"ops": 500, "tests": 3}, (500, CHOSEN_NETS, 3)),
        ({"pretrained": OWN}, {"general": True}, (None, KIT_NETS, KIT_TESTS)),
    ],
)
def test_how_much_is_measured(config, changes, expected):
    assert KitOptions((3, 64, 64), 4, **changes).numbers(make_config(config)) == expected


def test_a_trained_network_of_a_thousand_ops_takes_250_and_60_networks(rng):
    options = KitOptions((3, 224, 224), 10)
    found = content(LITE, options, options.built(LITE), rng)
    assert (len(found.nodes), len(found.nets), len(found.tests)) == (250, 50, 10)
    assert found.chosen["ops_of_space"] > 1000 and found.chosen["board_minutes"] < 20
    resolutions = {space.graph(arch).input.shape[1] for space, arch in found.nets}
    assert resolutions == {*range(64, 128, 8), *range(128, 225, 16)}


def test_a_space_with_few_ops_is_whole(rng):
    options = KitOptions((3, 8, 8), 4, nets=8, tests=2, space=Shared, ops=250)
    found = content(make_config({}), options, options.built(make_config({})), rng)
    assert {node.key for node in found.nodes} == {node.key for node in distinct_nodes(Shared())}
    assert (len(found.nets), len(found.tests), found.chosen) == (8, 2, {})


def test_a_choice_that_the_space_lacks_is_refused(rng):
    with pytest.raises(UsageError, match="depth"):
        content(make_config({}), KitOptions((3, 8, 8), 4, {"depth": ["4"]}), Shared(), rng)


def test_repeated_weights_take_little_place_and_run():
    space = build_space("mbconv", (3, 32, 32), 10)
    graph = space.graph(tuple(len(choice.options) - 1 for choice in space.choices))
    plain, repeated = (random_model(graph, "fp32", np.random.default_rng(0), repeated=r) for r in (False, True))
    assert len(repeated) == len(plain) and len(zlib.compress(repeated)) < 0.5 * len(zlib.compress(plain))
    logits = outputs(repeated, np.ones((2, 3, 32, 32), np.float32))
    assert np.isfinite(logits).all() and np.abs(logits).max() > 1e-6
