"""The tree at the top of errors.py is the tree of its classes."""

from __future__ import annotations

import inspect
import re

import pytest

import edgenas
from edgenas import errors

TREE = [
    (match["name"], len(match["indent"]), re.findall(r"exit (\d+)", match["codes"]))
    for match in re.finditer(r"^    (?P<indent>[|+ -]*)(?P<name>[A-Z]\w+) +(?P<codes>.*)$", errors.__doc__ or "", re.M)
]
CLASSES = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls)}


def test_the_tree_shows_every_error():
    assert {name for name, *_ in TREE} == set(CLASSES)


def test_every_error_can_be_caught_by_its_name():
    assert set(CLASSES) <= set(edgenas.__all__)
    assert all(getattr(edgenas, name) is cls for name, cls in CLASSES.items())


@pytest.mark.parametrize("name, indent, codes", TREE, ids=[name for name, *_ in TREE])
def test_each_stands_below_its_base_with_its_exit_code(name, indent, codes):
    cls = CLASSES[name]
    above = [other for other, depth, _ in TREE[: [n for n, *_ in TREE].index(name)] if depth < indent]
    assert cls.__base__ is (CLASSES[above[-1]] if above else Exception)
    if codes:  # of `Ended`, the code is that of the process that ended first
        assert str(cls.exit_code) in codes


def test_a_message_is_all_that_is_shown():
    assert str(errors.MissingOps("pi5: 3 ops unprofiled")) == "pi5: 3 ops unprofiled"
