from __future__ import annotations

import pytest
from hypothesis import given, settings

from edgenas.cost.memory import FEW, PeakBytes
from edgenas.exploration.feasible import uniform
from edgenas.graph.graph import Builder, Graph
from edgenas.spaces.build import build_space
from tests._toys import Cell, Recipe, Shared, all_archs, recipes


def chain(g: Builder) -> None:
    """3x4x4 = 48, 8x4x4 = 128, 2x2x2 = 8: the peak is 48 + 128."""
    g.conv("b", g.conv("a", g.input, out=8), out=2, stride=2)


def shortcut(g: Builder) -> None:
    """The input, 48, is kept until the sum: 48 + 128 + 48, then 48 + 48 + 48."""
    g.add("sum", g.input, g.conv("b", g.conv("a", g.input, out=8), out=3))


def two_readers(g: Builder) -> None:
    """64 is read by both branches: 64 + 64 + 64 while the second is written, and again at the sum."""
    x = g.conv("x", g.input, out=4)
    g.add("sum", g.act("a", x, "relu"), g.act("b", x, "relu"))


def concatenation(g: Builder) -> None:
    """48 + 48 + 96 at the end; while `a` and `b` are written 48 + 48 + 48."""
    a, b = g.act("a", g.input, "relu"), g.act("b", g.input, "relu")
    g.concat("join", a, b)


def alone(g: Builder) -> None:
    """Only the input."""


@pytest.mark.parametrize(
    "write, elements", [(chain, 176), (shortcut, 224), (two_readers, 192), (concatenation, 192), (alone, 48)]
)
def test_peak_by_hand(write, elements):
    g = Builder((3, 4, 4), (), {})
    write(g)
    assert PeakBytes()(g.graph()) == 4 * elements
    assert PeakBytes(element_bytes=1)(g.graph()) == elements


def test_materialised_zeros_take_memory():
    x = 2 * 6 * 6
    with_zeros, with_skip = Cell().graph((2, 0, 0)), Cell().graph((2, 1, 0))
    assert PeakBytes()(with_zeros) == PeakBytes()(with_skip) == 4 * (x + x + 2 * x)


def test_a_node_more_never_lowers_the_peak():
    g = Builder((3, 4, 4), (), {})
    shortcut(g)
    graph = g.graph()
    longer = Graph((*graph.nodes, g.act("end", graph.output, "relu")))
    assert PeakBytes()(longer) >= PeakBytes()(graph)


@pytest.mark.parametrize("space", [Cell(), Shared()], ids=["cell", "shared"])
def test_many_is_one_by_one_in_all_of_a_toy(space):
    peak, archs = PeakBytes(), all_archs(space)
    assert peak.many(space, archs * 3).tolist() == [peak(space.graph(arch)) for arch in archs] * 3


@settings(max_examples=100)
@given(recipes())
def test_many_is_one_by_one(space: Recipe):
    archs = all_archs(space) * FEW  # more than few
    peak = PeakBytes()
    assert peak.many(space, archs).tolist() == [peak(space.graph(arch)) for arch in all_archs(space)] * FEW


@pytest.mark.parametrize("name, shape", [("mbconv", (1, 28, 28)), ("nasbench201", (3, 32, 32))])
def test_many_is_one_by_one_in_large_spaces(rng, name, shape):
    space, peak = build_space(name, shape, 10), PeakBytes()
    archs = uniform(space, rng, 8 * FEW)
    assert peak.many(space, archs).tolist() == [peak(space.graph(arch)) for arch in archs]
