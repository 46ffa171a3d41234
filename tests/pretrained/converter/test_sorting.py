"""The order of channels of a trained network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.nn.network import Network, fresh_network
from edgenas.pretrained.converter.sorting import importance, importance_by, sorted_by
from tests.pretrained._networks import FAMILIES
from tests.pretrained.converter.test_space import pictures, space_of

families = pytest.mark.parametrize("family", FAMILIES)


@families
def test_sorting_channels_changes_no_logit(family):
    module, space = space_of(family)
    rng = np.random.default_rng(0)
    ranks = {name: rng.permutation(len(values)).tolist() for name, values in importance(space.steps).items()}
    assert ranks or family == "grouped"
    x = pictures(64)
    network = Network(space.graph(space.whole)).eval()
    results = []
    for steps in (space.steps, sorted_by(space.steps, ranks)):
        network.inherit({f"{s.name}.{name}": w.numpy() for s in steps.values() for name, w in s.weights.items()})
        with torch.no_grad():
            results.append(network(x))
    assert (results[0] - results[1]).abs().max() < 1e-5


@families
def test_what_is_found_out_about_channels_takes_the_place_of_what_their_weights_say(family):
    _, space = space_of(family)
    before = importance(space.steps)
    assert importance_by(space.steps, {}) == before
    found = {name: list(range(len(values))) for name, values in before.items()}
    assert importance_by(space.steps, found) == {name: [float(x) for x in row] for name, row in found.items()}


@families
def test_a_retrained_space_begins_with_the_weights_that_it_is_given(family):
    """In another order of channels, which changes no logit; a cut has those that matter most."""
    _, space = space_of(family, classes=3)
    network = fresh_network(space, space.whole, 0, "cpu").eval()
    rng = np.random.default_rng(1)
    ranks = {name: rng.permutation(len(values)).tolist() for name, values in importance(space.steps).items()}
    again = space.retrained(network.grouped(), ranks)
    x, other = pictures(64), fresh_network(again, space.whole, 0, "cpu").eval()
    assert not other.needs_head and again.spec == space.spec
    with torch.no_grad():
        assert (network(x) - other(x)).abs().max() < 1e-4
    assert space.trained.keys() <= again.trained.keys(), "the old space keeps its own weights"
