"""Decision diagrams: paths collect what holds, and join where that is smaller."""

from __future__ import annotations

import itertools

from hypothesis import given, settings

from edgenas.strategies.integer_program.decision_diagram import END, DecisionDiagrams
from tests._toys import Recipe, all_archs, recipes
from tests.strategies._synthetic import Toy

SMALL = Toy(4).restrict({"k0": [1], "k1": [0, 2], "e0": [1]})


@settings(max_examples=60)
@given(recipes())
def test_walks_collect_what_holds(space: Recipe):
    conditions = space.conditions(())
    walks = DecisionDiagrams(conditions.diagrams)
    wanted = set(conditions.live) - {0, 1}
    roots = walks.roots(conditions.live)
    for arch in itertools.islice(all_archs(space), 40):
        live = space.live((), [arch])[0]
        collected: list[int] = []
        for root in roots:
            while root != END:
                choice, branches = walks.tests[root]
                root, certain = branches[arch[choice]]
                collected += certain
        holding = {condition for condition, there in zip(conditions.live, live, strict=True) if there} & wanted
        assert sorted(collected) == sorted(holding)


def test_walks_join_where_that_is_smaller():
    conditions = SMALL.conditions((0,))
    walks = DecisionDiagrams(conditions.diagrams)
    alone = sum(walks.size(root) for live in set(conditions.live) for root in walks.roots([live]))
    together = sum(map(walks.size, walks.roots(conditions.live)))
    assert together < alone / 2
