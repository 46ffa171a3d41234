from __future__ import annotations

import pytest
from hypothesis import given

from edgenas.graph.derive import derive
from edgenas.graph.graph import Builder, Choice, Graph
from edgenas.graph.ops import Add, Choose, Zero
from tests._toys import Cell, Recipe, all_archs, recipes

CHOICES = (Choice("width", (8, 16), static=True), Choice("k", (3, 5)), Choice("d", (1, 2)))


@pytest.fixture
def g() -> Builder:
    return Builder((3, 9, 9), CHOICES, {"width": 1})


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph]


def test_derive_resolves_choices_and_drops_the_rest(g):
    x = g.conv("stem", g.input, out=8)
    x = g.choose("k", {k: g.conv(f"c{k}", x, out=8, kernel=k) for k in (3, 5)})
    y = g.conv("more", x, out=8)
    g.act("end", g.choose("d", {1: x, 2: y}), "relu")
    assert names(derive(g.graph(), {"k": 0, "d": 0}, (1, 0, 0))) == ["input", "stem", "c3", "end"]
    assert names(derive(g.graph(), {"k": 1, "d": 1}, (1, 1, 1))) == ["input", "stem", "c5", "more", "end"]


def test_derive_keeps_the_arch_and_the_keys(g):
    x = g.conv("stem", g.input, out=8)
    g.choose("k", {k: g.conv(f"c{k}", x, out=8, kernel=k) for k in (3, 5)})
    graph = derive(g.graph(), {"k": 1}, (1, 1, 0))
    assert graph.arch == (1, 1, 0)
    assert [node.key for node in graph.priced] == ["conv k1 s1 g1 none 8 | 3x9x9", "conv k5 s1 g1 none 8 | 8x9x9"]


def test_a_sum_with_zeros_is_its_other_term(g):
    x = g.conv("x", g.input, out=3)
    y = g.conv("y", g.input, out=3)
    g.add("sum", x, g.zero("none", y))
    graph = derive(g.graph(), {}, (1, 0, 0))
    assert names(graph) == ["input", "x"]


def test_ops_on_zeros_are_zeros(g):
    x = g.conv("x", g.input, out=3)
    zero = g.pool("p", g.conv("c", g.zero("none", x), out=3), mode="avg")
    g.add("sum", g.act("a", x, "relu"), g.add("both", zero, zero))
    assert names(derive(g.graph(), {}, (1, 0, 0))) == ["input", "x", "a"]


def test_concat_and_linear_read_materialised_zeros(g):
    x = g.conv("x", g.input, out=3)
    zero = g.zero("none", x)
    joined = g.concat("joined", zero, x, zero)
    g.concat("heads", g.linear("of_zeros", g.global_pool("mean", zero), out=2), g.global_pool("mean2", joined))
    graph = derive(g.graph(), {}, (1, 0, 0))
    zeros = {node.name: node for node in graph if isinstance(node.op, Zero)}
    by_name = {node.name: node for node in graph}
    assert len(zeros) == 3
    assert [zeros[name].shape for name in by_name["joined"].inputs if name in zeros] == [(3, 9, 9)] * 2
    assert zeros[by_name["of_zeros"].inputs[0]].shape == (3, 1, 1)
    assert "mean" not in by_name and all(node.inputs == ("input",) for node in zeros.values())


def test_a_program_of_zeros_ends_in_zeros(g):
    g.act("end", g.zero("none", g.conv("x", g.input, out=8)), "relu")
    graph = derive(g.graph(), {}, (1, 0, 0))
    assert isinstance(graph.output.op, Zero) and graph.output.shape == (8, 9, 9)
    assert graph.priced == ()


def test_derive_rejects_missing_decisions_and_options_not_offered(g):
    x = g.conv("x", g.input, out=8)
    g.act("end", g.choose("k", {3: x}), "relu")
    with pytest.raises(KeyError):
        derive(g.graph(), {}, (0, 0, 0))
    with pytest.raises(KeyError, match="does not offer option 1 of k"):
        derive(g.graph(), {"k": 1}, (0, 1, 0))


def test_dead_nodes_change_nothing():
    cell = Cell()
    # No edge leads from value 0 or 1 to value 2, so the convolution on 0-1 is read by the concatenation alone.
    first = cell.graph((2, 0, 0))
    assert [node.op.kind for node in first] == ["input", "conv", "zero", "concat", "global_pool", "linear"]


@given(recipes())
def test_derived_graphs_are_well_formed(space: Recipe):
    by_name = {node.name: node for node in space.supergraph(())}
    for arch in all_archs(space):
        graph = space.graph(arch)
        seen: dict[str, tuple[int, ...]] = {}
        for node in graph:
            assert node.name not in seen
            assert [seen[name] for name in node.inputs] == list(node.in_shapes)  # written before, of that shape
            assert not isinstance(node.op, Choose)
            seen[node.name] = node.shape
        assert graph.input.name == "input"
        assert graph.output.shape == by_name[space.supergraph(()).output.name].shape
        read = {name for node in graph for name in node.inputs}
        assert read | {graph.output.name, "input"} == set(seen)  # nothing is dead
        zeros = {node.name for node in graph if isinstance(node.op, Zero)}
        assert not any(zeros & set(node.inputs) for node in graph if isinstance(node.op, Add))
