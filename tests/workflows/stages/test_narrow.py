"""Which shape choices are kept."""

import pytest

from edgenas.workflows.stages.artefacts import Combination, Narrowing
from edgenas.workflows.stages.narrow import _best_product, _covered, describe_narrowing
from tests._toys import Shared
from tests.latency.tables import table_of


@pytest.mark.parametrize(
    "scores, most, kept",
    [
        ({(0, 0): 1.0}, 3, {(0, 0)}),
        ({(0, 0): 1.0, (0, 1): 3.0, (1, 0): 2.0}, 1, {(0, 1)}),
        ({(0, 0): 1.0, (0, 1): 3.0, (1, 0): 2.9}, 2, {(0, 0), (0, 1)}),  # with (1, 0) it is no product set
        ({(0, 0): 1.0, (0, 1): 3.0, (1, 0): 2.0, (1, 1): 0.5}, 4, {(0, 0), (0, 1), (1, 0), (1, 1)}),
        ({(): 5.0}, 2, {()}),  # a space without static choices
    ],
)
def test_kept_statics_are_a_product_set_around_the_best(scores, most, kept):
    assert set(_best_product(scores, most)) == kept


@pytest.mark.parametrize(
    "widths, covered",
    [
        ([], [(0,), (1,)]),
        ([[0, 1]], [(0,), (1,)]),
        ([[0]], [(0,)]),
        ([[0, 1], [1]], [(1,)]),
        ([[0], [1]], [(0,), (1,)]),  # no combination has both tables' ops
    ],
)
def test_statics_are_covered_if_every_table_has_their_ops(widths, covered):
    space = Shared()
    assert _covered(space, [table_of(space.restrict({"width": few})) for few in widths]) == covered


def test_the_narrowing_is_told():
    rows = (
        Combination({"width": 0.5, "resolution": 24}, 1.5e6, True),
        Combination({"width": 1.0, "resolution": 24}, 0.0, False),
    )
    assert describe_narrowing(Narrowing({}, (Combination({}, 1e6, True),))) == []
    _, kept, left = describe_narrowing(Narrowing({}, rows))
    assert "* width 0.5 resolution 24" in kept and "1.50 M" in kept
    assert "none fits" in left and "*" not in left
