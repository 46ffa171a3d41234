"""Decision diagrams of many conditions at once, small enough to be the rows of an integer program.

A path starts at a root and takes, at each test, the branch of the option that was chosen. A branch carries the
conditions that are certain to hold once it is taken, so a path has collected, at its end, exactly those that hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from edgenas.graph.conditions import FALSE, TRUE, Diagrams

Branch = tuple[int, frozenset[int]]  # the test that follows, and the conditions that hold from here on
END = 0


class DecisionDiagrams:
    """Hash-consed tests; equal ids collect equal conditions."""

    def __init__(self, diagrams: Diagrams) -> None:
        """Make diagrams for conditions that are ids of `diagrams`, which is not changed."""
        self.diagrams = diagrams
        # END has no branches, and its choice is behind all others, so it sorts last.
        self.tests: list[tuple[int, tuple[Branch, ...]]] = [(len(diagrams.sizes), ())]
        self._ids: dict[tuple[int, tuple[Branch, ...]], int] = {}
        self._joined: dict[tuple[int, int], int] = {}

    def roots(self, conditions: Iterable[int]) -> list[int]:
        """Return the roots of a few diagrams that settle all conditions, without those that hold always or never.

        Two diagrams become one where that has no more branches: it is smaller, and the program tighter.
        """
        by_choices: dict[frozenset[int], list[int]] = {}
        # Sorted, as the order decides which diagrams are joined.
        for condition in sorted(set(conditions) - {FALSE, TRUE}):
            root = self._single(condition)
            by_choices.setdefault(frozenset(self.tests[test][0] for test in self.reached(root)), []).append(root)
        roots: list[tuple[frozenset[int], int]] = []
        for choices, same in by_choices.items():
            root = reduce(self.join, same)
            for i, (others, other) in enumerate(roots):
                joint = self.join(other, root) if choices & others else END
                if joint != END and self.size(joint) <= self.size(other) + self.size(root):
                    roots[i] = choices | others, joint
                    break
            else:
                roots.append((choices, root))
        return [root for _, root in roots]

    def join(self, a: int, b: int) -> int:
        """Return the root of one diagram whose paths collect what those of two collect."""
        if END in (a, b):
            return max(a, b)  # END is 0, so this is the other one
        key = (min(a, b), max(a, b))
        if key not in self._joined:
            (choice_a, branches_a), (choice_b, branches_b) = self.tests[a], self.tests[b]
            # Both test choices in one order. A diagram that does not test this choice is passed on whole, and certain
            # conditions are none.
            choice = min(choice_a, choice_b)
            stay = frozenset[int]()
            size = self.diagrams.sizes[choice]
            pairs = zip(
                branches_a if choice_a == choice else ((a, stay),) * size,
                branches_b if choice_b == choice else ((b, stay),) * size,
                strict=True,
            )
            self._joined[key] = self._test(choice, tuple((self.join(x, y), p | q) for (x, p), (y, q) in pairs))
        return self._joined[key]

    def reached(self, root: int) -> list[int]:
        """Return the tests that a path may meet, the root first, each before those that follow it."""
        found, waiting = {root}, [root]
        while waiting:
            for following, _ in self.tests[waiting.pop()][1]:
                if following != END and following not in found:
                    found.add(following)
                    waiting.append(following)
        return sorted(found, key=lambda test: (self.tests[test][0], test))

    def size(self, root: int) -> int:
        """Return how many branches can be reached from a root."""
        return sum(len(self.tests[test][1]) for test in self.reached(root))

    def _single(self, condition: int) -> int:
        """Return the root of a diagram that collects one condition."""
        ends = {FALSE: (END, frozenset[int]()), TRUE: (END, frozenset({condition}))}

        def branch(diagram: int) -> Branch:
            if diagram not in ends:
                choice, branches = self.diagrams.tests[diagram]
                ends[diagram] = self._test(choice, tuple(map(branch, branches))), frozenset()
            return ends[diagram]

        return branch(condition)[0]

    def _test(self, choice: int, branches: tuple[Branch, ...]) -> int:
        key = (choice, branches)
        if key not in self._ids:
            self._ids[key] = len(self.tests)
            self.tests.append(key)
        return self._ids[key]
