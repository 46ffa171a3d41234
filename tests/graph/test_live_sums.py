from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.exploration.feasible import uniform
from edgenas.graph.conditions import FALSE, TRUE, Diagrams
from edgenas.graph.live_sums import MOST_LISTED, LiveSums
from edgenas.spaces.build import build_space
from tests._toys import Recipe, all_archs, recipes


@settings(max_examples=200)
@given(recipes(), st.sampled_from([1, 6, MOST_LISTED]))
def test_sums_are_over_the_live_nodes(space: Recipe, most):
    """However many conditions are listed."""
    archs, conditions = all_archs(space), space.conditions(())
    weights = np.random.default_rng(0).random(len(conditions.live))
    sums = LiveSums(conditions.diagrams, conditions.live, most=most)
    found = sums.table(weights)[sums.indices(space.rows(archs))].sum(axis=1)
    np.testing.assert_allclose(found, space.live((), archs) @ weights, rtol=1e-12)


@pytest.mark.parametrize("conditions, expected", [([], 0.0), ([FALSE, FALSE], 0.0), ([TRUE, FALSE, TRUE], 5.0)])
def test_sums_of_what_depends_on_nothing(conditions, expected):
    sums = LiveSums(Diagrams([2, 3]), conditions)
    places = sums.indices(np.array([[0, 0], [1, 2]], dtype=np.uint8))
    table = sums.table(np.array([1.0, 3.0, 4.0][: len(conditions)]))
    assert table[places].sum(axis=1).tolist() == [expected, expected]


@pytest.mark.parametrize("most", [1, MOST_LISTED])
def test_a_sum_is_the_same_alone_and_in_company(rng, most):
    """To the last bit: who previews many architectures and who records one agree on the budget."""
    space = build_space("mbconv", (1, 28, 28), 10).restrict({"width": [0], "resolution": [0]})
    archs, conditions = uniform(space, rng, 200), space.conditions((0, 0))
    sums = LiveSums(conditions.diagrams, conditions.live, most=most)
    table = sums.table(rng.random(len(conditions.live)))
    alone = [table[sums.indices(space.rows([arch]))].sum(axis=1)[0] for arch in archs]
    assert table[sums.indices(space.rows(archs))].sum(axis=1).tolist() == alone


def test_few_look_ups_make_a_sum():
    """Blocks of mbconv are chosen apart: a sum over 400 nodes is as many look-ups as there are groups of choices."""
    space = build_space("mbconv", (1, 28, 28), 10)
    places = space.live_sums((0, 0)).indices(space.rows([(0,) * len(space.choices)]))
    assert places.shape == (1, 24)
