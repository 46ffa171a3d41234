from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.errors import UsageError
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import one_hot
from tests._toys import Cell, Shared, all_archs

SHARED = Shared()
score = st.floats(allow_nan=True)


@given(st.tuples(*(st.lists(score, min_size=2, max_size=2) for _ in SHARED.choices)))
def test_every_decoded_tuple_is_valid(scores):
    SHARED.check(SHARED.decode(scores))
    narrow = SHARED.restrict({"kernel": [1], "width": [0]})
    assert (narrow.decode(scores)[2], narrow.decode(scores)[0]) == (1, 0)


def test_decode_takes_the_first_of_equals():
    assert SHARED.decode([[0.0, 0.0]] * 4) == (0, 0, 0, 0)
    assert SHARED.decode([[-np.inf, -np.inf]] * 4) == (0, 0, 0, 0)


@pytest.mark.parametrize("scores", [[[0.0, 1.0]] * 3, [[0.0, 1.0]] * 5])
def test_decode_wants_a_row_per_choice(scores):
    with pytest.raises(ValueError):
        SHARED.decode(scores)


def test_restrict_keeps_the_meaning_of_indices():
    cell = Cell().restrict({"0-1": [3, 2], "0-2": [1, 99]})
    assert cell.allowed == ((2, 3), (1,), (0, 1, 2, 3))
    assert cell.restrict({"0-1": [2]}).allowed == ((2,), (1,), (0, 1, 2, 3))
    assert cell.choices == Cell.choices and cell.graph((2, 1, 0)) == Cell().graph((2, 1, 0))


def test_restrict_leaves_the_space_alone():
    cell = Cell()
    cell.restrict({"0-1": [0]})
    assert cell.allowed == ((0, 1, 2, 3),) * 3


@pytest.mark.parametrize(
    "allowed, message",
    [
        ({"depth": [0]}, "space cell has no choice 'depth'; it has 0-1, 0-2, 1-2"),
        ({"0-1": []}, "no option of '0-1' is left"),
        ({"0-1": [4]}, "no option of '0-1' is left"),
    ],
)
def test_restrict_rejects(allowed, message):
    with pytest.raises(UsageError, match=message):
        Cell().restrict(allowed)
    with pytest.raises(UsageError, match="no option of '0-1' is left"):
        Cell().restrict({"0-1": [1]}).restrict({"0-1": [2]})


@pytest.mark.parametrize("texts, indices", [(["1", "0.5"], [2, 0]), (["1.0"], [2])])
def test_options_are_named_as_they_are_written(texts, indices):
    assert build_space("mbconv", (3, 32, 32), 10).options_named("width", texts) == indices


def test_unknown_options_are_named_with_those_there_are():
    with pytest.raises(UsageError, match="width has no option '2'; it has 4, 8"):
        SHARED.options_named("width", ["4", "2"])
    with pytest.raises(UsageError, match="has no choice 'depth'"):
        SHARED.options_named("depth", ["1"])


def test_statics():
    assert SHARED.static_indices == (0,)
    assert SHARED.statics((1, 0, 1, 0)) == (1,)
    assert list(SHARED.all_statics()) == [(0,), (1,)]
    assert list(SHARED.restrict({"width": [1]}).all_statics()) == [(1,)]
    assert SHARED.static_values((1,)) == {"width": 8}
    assert list(Cell().all_statics()) == [()]


def test_statics_change_shapes_and_nothing_else_does():
    assert SHARED.graph((0, 0, 0, 0)).nodes[1].shape == (4, 4, 4)
    assert SHARED.graph((1, 0, 0, 0)).nodes[1].shape == (8, 4, 4)
    for statics in SHARED.all_statics():
        stems = {SHARED.graph(a).nodes[1].key for a in all_archs(SHARED) if SHARED.statics(a) == statics}
        assert len(stems) == 1


def test_resolution_is_the_side_of_the_input():
    assert SHARED.input_shape({}) == (3, 8, 8)
    assert SHARED.input_shape({"resolution": 6}) == (3, 6, 6)


@pytest.mark.parametrize(
    "arch, message",
    [
        ((0, 0, 0), "has 4 choices, got 3"),
        ((0, 0, 0, 0, 0), "has 4 choices, got 5"),
        ((0, 0, 2, 0), "kernel has no option number 2"),
        ((0, 0, 0, -1), "gate has no option number -1"),
    ],
)
def test_archs_of_other_spaces_are_refused(arch, message):
    for use in (SHARED.check, SHARED.graph):
        with pytest.raises(UsageError, match=message):
            use(arch)


def test_graph_remembers_its_arch():
    assert SHARED.graph((1, 0, 1, 0)).arch == (1, 0, 1, 0)
    assert SHARED.supergraph((1,)).arch is None


@pytest.mark.parametrize("code", ["", "  ", "00", "0_00", "000é", "00-0", "0002", "٠٠٠٠"])
def test_codes_that_are_no_architecture_are_refused(code):
    with pytest.raises(UsageError):
        SHARED.parse(code)


def test_codes_may_be_written_loosely():
    assert SHARED.parse(" 0101\n") == (0, 1, 0, 1)


def test_values_name_the_options():
    assert SHARED.values((1, 0, 1, 1)) == {"width": 8, "expand": 1, "kernel": 5, "gate": True}


def test_live_of_nothing_and_of_one():
    nodes = len(SHARED.supergraph((0,)).nodes)
    assert SHARED.live((0,), []).shape == (0, nodes)
    assert SHARED.live((0,), [(0, 0, 0, 0)]).shape == (1, nodes)


def test_rows_and_their_statics():
    archs = [(1, 0, 1, 0), (0, 1, 1, 1), (1, 1, 0, 0)]
    rows = SHARED.rows(archs)
    assert list(map(tuple, rows.tolist())) == archs
    assert SHARED.by_statics(rows) == {(1,): [0, 2], (0,): [1]}
    assert SHARED.rows([]).shape == (0, 4) and SHARED.by_statics(SHARED.rows([])) == {}


def test_supergraphs_are_built_once():
    assert SHARED.supergraph((0,)) is SHARED.supergraph((0,))
    assert SHARED.restrict({"kernel": [0]}).supergraph((0,)) is SHARED.supergraph((0,))
    assert SHARED.decode(one_hot(SHARED, (0, 1, 0, 1))) == (0, 1, 0, 1)
