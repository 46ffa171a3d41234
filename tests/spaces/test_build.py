"""Spaces by name, file, class and function, and by their specs."""

from __future__ import annotations

from functools import partial

import pytest

from edgenas.errors import UnknownName, UsageError
from edgenas.graph.graph import Choice
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space, parse_spec
from edgenas.spaces.mbconv import MBConv
from tests._toys import Cell, Shared


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


pytestmark = pytest.mark.usefixtures("any_plugin")

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


def outside(choices, emit):
    return type("Outside", (SearchSpace,), {"choices": choices, "emit": emit})


def _ended(g, x, out=10):
    g.linear("head", g.global_pool("pool", x), out=out)


KERNEL = (Choice("k", (3, 5)),)


@pytest.mark.parametrize(
    "choices, emit, message",
    [
        ((Choice("k", ()),), lambda self, g: _ended(g, g.input), r"choice 'k' has the options \(\); give 1 to 36"),
        ((Choice("k", (1, 1)),), lambda self, g: _ended(g, g.input), r"choice 'k' has the options \(1, 1\)"),
        ((Choice("k", tuple(range(37))),), lambda self, g: _ended(g, g.input), "give 1 to 36 different ones"),
        (
            KERNEL,
            lambda self, g: _ended(g, g.choose("k", {k: g.conv(f"c{k}", g.input, out=k) for k in (3, 5)})),
            r"`emit` fails \(ValueError: alternatives of 'k' differ in shape",
        ),
        (KERNEL, lambda self, g: _ended(g, g.choose("k", {7: g.input})), r"`emit` fails \(ValueError: .*; mend it"),
        (KERNEL, lambda self, g: _ended(g, g.choose("kk", {3: g.input})), r"`emit` fails \(KeyError: 'kk'\)"),
        (KERNEL, lambda self, g: g.conv("c", g.input, out=8, act="rleu"), "conv needs an odd kernel and an activation"),
        (KERNEL, lambda self, g: _ended(g, g.input, out=7), "its program ends with 'head', 7x1x1, not with one number"),
    ],
)
def test_a_space_from_outside_is_checked_before_anything_is_measured(choices, emit, message):
    with pytest.raises(UsageError, match=f"space Outside: .*{message}"):
        build_space(outside(choices, emit), (3, 8, 8), 10)
