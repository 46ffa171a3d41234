from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.errors import UnknownName, UsageError
from edgenas.spaces.base import build_space, parse_spec
from edgenas.spaces.mbconv import MBConv
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


@pytest.mark.parametrize("spec", ["mbconv 1x28x28 10", "mbconv 3x96x96 100", "tests._toys 3x8x8 4"])
def test_spec_rebuilds_the_space(spec):
    space = parse_spec(spec)
    assert space.spec == spec
    assert parse_spec(space.spec).choices == space.choices


@pytest.mark.parametrize(
    "spec", ["", "mbconv", "mbconv 3x32 10", "mbconv 3x32x32 ten", "mbconv 3x32x32 10 0", "mbconv axbxc 10"]
)
def test_text_that_is_no_spec_is_refused(spec):
    with pytest.raises(UsageError, match="is no search space; expected for example"):
        parse_spec(spec)


TINY = """
from edgenas.graph.graph import Choice
from edgenas.spaces.base import SearchSpace

class Tiny(SearchSpace):
    choices = (Choice("k", (3, 5)),)

    def emit(self, g):
        x = g.choose("k", {k: g.conv(f"c{k}", g.input, out=8, kernel=k) for k in (3, 5)})
        g.linear("head", g.global_pool("pool", x), out=self.classes)

def build(shape, classes):
    return Tiny(shape, classes)
"""


@pytest.mark.parametrize("where", ["./{}.py", "elsewhere/{}.py", "{}"])
def test_a_space_from_a_file_is_named_by_its_stem(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    name = f"tiny{abs(hash(where)) % 1000}"
    source = where.format(name)
    path = tmp_path / (source if source.endswith(".py") else f"{name}.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(TINY)
    space = build_space(source, (3, 8, 8), 4)
    assert space.spec == f"{name} 3x8x8 4"
    assert type(parse_spec(space.spec)) is type(space)


class Mine(Cell):
    """A space that no plugin builds."""


@pytest.mark.parametrize(
    "source, name",
    [
        (MBConv, "mbconv"),  # its plugin's, so that tables and runs are the same
        (Shared, "tests._toys"),  # its module's, which builds such spaces
        (Cell, "Cell"),  # in that module, too, but it builds others
        (Mine, "Mine"),
        (lambda shape, classes: Mine(shape, classes), "<lambda>"),
        (partial(Mine), "partial"),
    ],
)
def test_a_space_from_a_class_or_function_has_a_name_that_finds_it(source, name):
    space = build_space(source, (3, 32, 32), 10)
    assert space.name == name
    again = parse_spec(space.spec)
    assert type(again) is type(space) and again.spec == space.spec


def test_what_makes_no_space_is_refused():
    with pytest.raises(UsageError, match="makes a tuple, which is no edgenas.SearchSpace"):
        build_space(lambda shape, classes: (shape, classes), (3, 32, 32), 10)


def test_the_names_of_our_own_spaces_are_taken(tmp_path):
    (tmp_path / "chain.py").write_text(TINY)
    mine = type("mbconv", (Mine,), {})
    for source in (mine, str(tmp_path / "chain.py")):
        with pytest.raises(UsageError, match="edgenas has a space '(mbconv|chain)' of its own; rename"):
            build_space(source, (3, 32, 32), 10)


def test_unknown_spaces_are_refused():
    with pytest.raises(UnknownName, match="did you mean mbconv"):
        build_space("mbcov", (3, 32, 32), 10)
