from __future__ import annotations

import pytest

from edgenas.graph.graph import Builder, Choice
from edgenas.graph.ops import Choose

CHOICES = (Choice("width", (8, 16), static=True), Choice("k", (3, 5)), Choice("d", (1, 2)))


@pytest.fixture
def g() -> Builder:
    return Builder((3, 9, 9), CHOICES, {"width": 1})


# Builder


def test_builder_infers_shapes(g):
    x = g.conv("a", g.input, out=8, kernel=3, stride=2, act="relu")
    y = g.depthwise("b", x, kernel=5)
    y = g.squeeze_excite("c", y, hidden=2)
    y = g.act("d", g.pool("e", y, mode="max"), "hswish")
    g.linear("g", g.global_pool("f", g.concat("h", g.add("i", x, y), g.zero("z", x))), out=10)
    shapes = {node.name: node.shape for node in g.graph()}
    assert shapes["a"] == shapes["b"] == shapes["c"] == shapes["d"] == shapes["i"] == shapes["z"] == (8, 5, 5)
    assert shapes["h"] == (16, 5, 5) and shapes["f"] == (16, 1, 1) and shapes["g"] == (10, 1, 1)


def test_weights_default_to_the_name(g):
    assert g.conv("a", g.input, out=8).weights == "a"
    assert g.conv("b", g.input, out=8, weights="a").weights == "a"


def test_pick_gives_the_static_value(g):
    assert g.pick("width") == 16


def test_a_choice_may_offer_some_options_only(g):
    a, b = g.conv("a", g.input, out=8), g.conv("b", g.input, out=8)
    assert g.choose("k", {5: a}).op == Choose("k", (1,))
    assert g.choose("k", {5: a, 3: b}, name="again").op == Choose("k", (1, 0))


@pytest.mark.parametrize(
    "write, message",
    [
        (lambda g, x: g.conv("x", x, out=8), "two nodes named 'x'"),
        (lambda g, x: g.add("y", x, g.input), "two equal shapes"),
        (lambda g, x: g.linear("y", x, out=10), r"linear needs \(C, 1, 1\)"),
        (lambda g, x: g.conv("y", x, out=8, kernel=4), "odd kernel"),
        (lambda g, x: g.choose("width", {8: x}), "shape choice .static.: use pick"),
        (lambda g, x: g.choose("k", {3: x, 5: g.input}), "'k' differ in shape"),
        (lambda g, x: g.choose("k", {4: x}), "not in tuple"),
    ],
)
def test_builder_rejects(g, write, message):
    x = g.conv("x", g.input, out=8, stride=2)
    with pytest.raises(ValueError, match=message):
        write(g, x)


@pytest.mark.parametrize("write", [lambda g: g.choose("depth", {1: g.input}), lambda g: g.pick("k")])
def test_builder_knows_its_choices(g, write):
    with pytest.raises(KeyError):
        write(g)


# Keys


@pytest.mark.parametrize(
    "write, key",
    [
        (lambda g, x: g.conv("n", x, out=32, kernel=3, stride=2, act="relu6"), "conv k3 s2 g1 relu6 32 | 16x9x9"),
        (lambda g, x: g.depthwise("n", x, kernel=5), "conv k5 s1 g16 none 16 | 16x9x9"),
        (lambda g, x: g.pool("n", x, mode="max"), "pool max k3 s1 | 16x9x9"),
        (lambda g, x: g.act("n", x, "hswish"), "act hswish | 16x9x9"),
        (lambda g, x: g.squeeze_excite("n", x, hidden=4), "se 4 | 16x9x9"),
        (lambda g, x: g.global_pool("n", x), "global_pool | 16x9x9"),
        (lambda g, x: g.linear("n", g.global_pool("p", x), out=10), "linear 10 | 16x1x1"),
        (lambda g, x: g.add("n", x, x), "add | 16x9x9"),
        (lambda g, x: g.concat("n", x, g.input), "concat | 16x9x9 + 3x9x9"),
    ],
)
def test_key(g, write, key):
    x = g.conv("x", g.input, out=16)
    assert write(g, x).key == key


def test_key_is_free_of_names(g):
    assert g.conv("a", g.input, out=8).key == g.conv("b", g.input, out=8, weights="w").key


def test_what_is_priced(g):
    x = g.conv("a", g.input, out=8)
    g.choose("k", {3: x, 5: g.zero("zero", x)})
    assert [node.name for node in g.graph().priced] == ["a"]
