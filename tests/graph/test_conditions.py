from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.cost.counts import CountCost
from edgenas.graph.conditions import CompiledDiagrams, Diagrams
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import one_hot
from tests._toys import Cell, Recipe, Shared, all_archs, recipes


def assert_live_is_what_derive_keeps(space: SearchSpace) -> None:
    archs = all_archs(space)
    for statics in space.all_statics():
        members = [arch for arch in archs if space.statics(arch) == statics]
        nodes = space.supergraph(statics).nodes
        live = space.live(statics, members)
        assert live.shape == (len(members), len(nodes))
        for arch, row in zip(members, live, strict=True):
            priced = {node.name for node, kept in zip(nodes, row, strict=True) if kept and node.priced}
            assert priced == {node.name for node in space.graph(arch).priced}, arch


@settings(max_examples=400)
@given(recipes())
def test_live_is_what_derive_keeps(space: Recipe):
    assert_live_is_what_derive_keeps(space)


@pytest.mark.parametrize("space", [Cell(), Shared()], ids=["cell", "shared"])
def test_live_is_what_derive_keeps_in_spaces(space):
    assert_live_is_what_derive_keeps(space)


@settings(max_examples=200)
@given(recipes(), st.data())
def test_choices_that_are_not_asked_change_nothing(space: Recipe, data):
    arch = data.draw(st.sampled_from(all_archs(space)))
    (asked,) = space.conditions(()).active_choices(space.rows([arch]))
    other = data.draw(st.sampled_from(all_archs(space)))
    mixed = tuple(np.where(asked, arch, other).tolist())
    assert space.graph(mixed).nodes == space.graph(arch).nodes
    assert space.conditions(()).active_choices(space.rows([mixed])).tolist() == [asked.tolist()]


@settings(max_examples=50)
@given(recipes(), st.randoms(use_true_random=False))
def test_probabilities_are_exact(space: Recipe, random):
    """The expected cost is the sum over all architectures of probability times cost."""
    options = []
    for choice in space.choices:
        weights = [random.random() + 0.01 for _ in choice.options]
        options.append([weight / sum(weights) for weight in weights])
    cost = CountCost("bytes")
    expected = sum(
        np.prod([row[option] for row, option in zip(options, arch, strict=True)]) * cost(space.graph(arch))
        for arch in all_archs(space)
    )
    assert cost.expected(space, (), options) == pytest.approx(expected, rel=1e-9)


def test_one_hot_probabilities_are_zero_or_one():
    space = Cell()
    for arch in all_archs(space):
        assert set(space.conditions(()).probabilities(one_hot(space, arch))) <= {0.0, 1.0}


def test_a_choice_asked_at_two_places_is_one_decision():
    """Two independent questions would each be answered `conv` with probability 1/2, and both with 1/4."""
    space = Shared()
    options = [[0.0, 1.0], [0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]
    by_name = dict(
        zip(
            (node.name for node in space.supergraph((1,))),
            space.conditions((1,)).probabilities(options),
            strict=True,
        )
    )
    assert by_name["e1.k3"] == by_name["e2.k5"] == pytest.approx(0.25)
    assert by_name["e1.project"] == pytest.approx(0.5)
    assert by_name["e1.se"] == 0.0 and by_name["stem"] == 1.0


def test_probabilities_carry_gradients():
    import torch

    space = Shared()
    alphas = [torch.zeros(len(choice.options), requires_grad=True) for choice in space.choices]
    cost = CountCost("bytes")
    cost.expected(space, (0,), [alpha.softmax(0) for alpha in alphas]).backward()
    _, expand, kernel, gate = alphas
    for alpha in (expand, kernel, gate):  # the second option is the larger one each time
        assert alpha.grad is not None and alpha.grad[1] > 0 > alpha.grad[0]


SIZES = (2, 3, 2)
POINTS = list(itertools.product(*map(range, SIZES)))


def evaluate(diagrams: Diagrams, diagram: int, point: tuple[int, ...]) -> bool:
    while diagram > 1:
        choice, branches = diagrams.tests[diagram]
        diagram = branches[point[choice]]
    return bool(diagram)


def matters(diagrams: Diagrams, diagram: int, choice: int) -> bool:
    """Whether another option of the choice makes a difference anywhere."""
    groups: dict[tuple[int, ...], set[bool]] = {}
    for point in POINTS:
        rest = point[:choice] + point[choice + 1 :]
        groups.setdefault(rest, set()).add(evaluate(diagrams, diagram, point))
    return any(len(answers) > 1 for answers in groups.values())


FORMULA = st.recursive(
    st.tuples(st.just("is"), st.integers(0, 2), st.integers(0, 1)),
    lambda inner: st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    max_leaves=12,
)


@given(FORMULA, FORMULA)
def test_diagrams_are_canonical(first, second):
    """Each diagram computes its formula, and equal functions have equal ids."""
    diagrams = Diagrams(SIZES)

    def build(formula):
        kind, a, b = formula
        if kind == "is":
            return diagrams.selects(a, b)
        return (diagrams.both if kind == "and" else diagrams.either)(build(a), build(b))

    def truth(formula, point):
        kind, a, b = formula
        if kind == "is":
            return point[a] == b
        return (all if kind == "and" else any)([truth(a, point), truth(b, point)])

    ids = [build(formula) for formula in (first, second)]
    tables = [[truth(formula, point) for point in POINTS] for formula in (first, second)]
    assert [[evaluate(diagrams, i, point) for point in POINTS] for i in ids] == tables
    assert CompiledDiagrams(diagrams, ids)(np.array(POINTS, dtype=np.uint8)).T.tolist() == tables
    for diagram, support in enumerate(diagrams.supports()):
        assert support == {i for i in range(len(SIZES)) if matters(diagrams, diagram, i)}
    assert (ids[0] == ids[1]) == (tables[0] == tables[1])
