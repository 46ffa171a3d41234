"""The conditions under which nodes of a supergraph are part of the derived graph, for all architectures at once.

Each node's condition is a multi-valued decision diagram over the choices: Bryant's reduced ordered diagrams (1986) with
one branch per option. One pass over the diagrams turns independent option probabilities into the probability that each
node is live, by additions and multiplications alone: it works on floats, numpy columns and torch tensors, and one-hot
probabilities give exactly the nodes that `derive` keeps. For whole architectures, `CompiledDiagrams` follows the
branches instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.graph.graph import Choice, Graph
from edgenas.graph.ops import Add, Choose, Concat, Input, Linear, Zero

FALSE, TRUE = 0, 1  # ids of the two constant diagrams, in every `Diagrams`


class Diagrams:
    """Hash-consed decision diagrams; an id is a function of the choices, equal ids are equal functions."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """Begin without diagrams but the constant ones.

        Args:
            sizes: the number of options of each choice; choices are tested in this order.
        """
        self.sizes = sizes
        # The constants stand behind the last choice: `CompiledDiagrams` lays diagrams out by choice, and these first.
        self.tests: list[tuple[int, tuple[int, ...]]] = [(len(sizes), ()), (len(sizes), ())]
        self._ids: dict[tuple[int, tuple[int, ...]], int] = {}
        # What was joined before: without it a shared branch is joined once for every path that leads to it.
        self._joined: dict[tuple[bool, int, int], int] = {}

    def test(self, choice: int, branches: tuple[int, ...]) -> int:
        """Return the diagram that goes on with `branches[option]` where `choice` takes `option`."""
        # A test that decides nothing is left out: that, and one id for equal tests, makes equal functions equal ids.
        if len(set(branches)) == 1:
            return branches[0]
        key = (choice, branches)
        if key not in self._ids:
            self._ids[key] = len(self.tests)
            self.tests.append(key)
        return self._ids[key]

    def selects(self, choice: int, option: int) -> int:
        """Return the diagram that is true where `choice` takes `option`."""
        return self.test(choice, tuple(TRUE if o == option else FALSE for o in range(self.sizes[choice])))

    def both(self, a: int, b: int) -> int:
        """Return the conjunction of two diagrams."""
        return self._join(True, a, b)

    def either(self, a: int, b: int) -> int:
        """Return the disjunction of two diagrams."""
        return self._join(False, a, b)

    def _join(self, conjunction: bool, a: int, b: int) -> int:
        absorbing, neutral = (FALSE, TRUE) if conjunction else (TRUE, FALSE)
        if absorbing in (a, b):
            return absorbing
        if a == neutral or a == b:
            return b
        if b == neutral:
            return a
        # Both operations commute, so one entry serves both orders.
        key = (conjunction, min(a, b), max(a, b))
        if key not in self._joined:
            (choice_a, branches_a), (choice_b, branches_b) = self.tests[a], self.tests[b]
            choice = min(choice_a, choice_b)
            size = self.sizes[choice]
            # A diagram that does not test this choice is the same under each of its options.
            pairs = zip(
                branches_a if choice_a == choice else (a,) * size,
                branches_b if choice_b == choice else (b,) * size,
                strict=True,
            )
            self._joined[key] = self.test(choice, tuple(self._join(conjunction, x, y) for x, y in pairs))
        return self._joined[key]

    def supports(self) -> list[frozenset[int]]:
        """Return the choices that each diagram depends on, by id."""
        found: list[frozenset[int]] = [frozenset(), frozenset()]
        for choice, branches in self.tests[2:]:
            found.append(frozenset([choice]).union(*(found[branch] for branch in branches)))
        return found


class CompiledDiagrams:
    """Some diagrams, laid out to be evaluated for many architectures: one pass over the choices, the last one first.

    Every diagram that is needed has a row, false and true the first two. `levels` holds, for each choice, the rows of
    the branches (diagrams, options) of the diagrams that test it; rows are in the order of the levels, so that branches
    are known before they are read. `wanted` are the rows of the results.
    """

    def __init__(self, diagrams: Diagrams, wanted: Sequence[int]) -> None:
        """Lay out what the diagrams `wanted`, ids in the order of the results, depend on."""
        needed = {FALSE, TRUE, *wanted}
        for diagram in range(len(diagrams.tests) - 1, TRUE, -1):  # branches have smaller ids than what tests them
            if diagram in needed:
                needed.update(diagrams.tests[diagram][1])
        order = sorted(needed, key=lambda diagram: -diagrams.tests[diagram][0])
        row = {diagram: i for i, diagram in enumerate(order)}
        levels: dict[int, list[list[int]]] = {}
        for diagram in order[2:]:
            choice, branches = diagrams.tests[diagram]
            levels.setdefault(choice, []).append([row[branch] for branch in branches])
        self.levels = [(choice, np.array(branches)) for choice, branches in levels.items()]
        self.wanted = np.array([row[diagram] for diagram in wanted], dtype=np.intp)
        self._true, self._size = row[TRUE], len(order)

    def __call__(self, archs: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which diagrams hold, (n, wanted), for architectures (n, choices)."""
        values = np.zeros((self._size, len(archs)), dtype=bool)
        values[self._true] = True
        members, start = np.arange(len(archs)), 2
        for choice, branches in self.levels:
            values[start : start + len(branches)] = values[branches[:, archs[:, choice]], members]
            start += len(branches)
        return values[self.wanted].T


class Conditions:
    """The condition of each node of one supergraph."""

    def __init__(self, supergraph: Graph, choices: Sequence[Choice]) -> None:
        """Build the diagrams of a supergraph, once; what is asked of them later is one pass over them.

        Args:
            supergraph: the program with all alternatives.
            choices: of its space; diagrams test them in this order.
        """
        self.diagrams = Diagrams([len(choice.options) for choice in choices])
        index = {choice.name: i for i, choice in enumerate(choices)}
        nonzero = self._nonzero(supergraph, index)
        reached = self._reached(supergraph, index)
        self.live: tuple[int, ...] = tuple(
            self._live(node.op, [nonzero[name] for name in node.inputs], nonzero[node.name], reached[node.name])
            for node in supergraph
        )
        self.nonzero: tuple[int, ...] = tuple(nonzero.values())
        self.active: tuple[int, ...] = self._active(supergraph, choices, index)

    @cached_property
    def nodes(self) -> CompiledDiagrams:
        """Tell which nodes are live."""
        return CompiledDiagrams(self.diagrams, self.live)

    @cached_property
    def values(self) -> CompiledDiagrams:
        """Tell which nodes give something else than zeros."""
        return CompiledDiagrams(self.diagrams, self.nonzero)

    @cached_property
    def active_choices(self) -> CompiledDiagrams:
        """Tell which choices are active: the options of the others change nothing."""
        return CompiledDiagrams(self.diagrams, self.active)

    def probabilities(self, options: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the probability that each node is live, for independent choices.

        Args:
            options: by choice and option, its probability: floats, or arrays or tensors of one shape, for example with
                one column per architecture. The results are of the same kind.
        """
        values: list[Any] = [0.0, 1.0]
        for choice, branches in self.diagrams.tests[2:]:
            total: Any = 0.0
            # Options exclude each other, so their probabilities add up. A path tests a choice once, and choices are
            # independent, so along it they multiply.
            for probability, branch in zip(options[choice], branches, strict=True):
                if branch != FALSE:
                    total = total + (probability if branch == TRUE else probability * values[branch])
            values.append(total)
        return [values[live] for live in self.live]

    def _nonzero(self, supergraph: Graph, index: Mapping[str, int]) -> dict[str, int]:
        """Return where each value is something else than propagated zeros."""
        d = self.diagrams
        nonzero: dict[str, int] = {}
        for node in supergraph:
            inputs = [nonzero[name] for name in node.inputs]
            if isinstance(node.op, Zero):
                value = FALSE
            # As `derive` has it: Linear and Concat read zeros, other kernels pass them on.
            elif isinstance(node.op, Input | Linear | Concat):
                value = TRUE
            elif isinstance(node.op, Choose):
                value = FALSE
                for option, source in zip(node.op.options, inputs, strict=True):
                    value = d.either(value, d.both(d.selects(index[node.op.choice], option), source))
            elif isinstance(node.op, Add):
                value = d.either(*inputs)
            else:
                value = inputs[0]
            nonzero[node.name] = value
        return nonzero

    def _reached(self, supergraph: Graph, index: Mapping[str, int]) -> dict[str, int]:
        """Return where the output reads each value."""
        d = self.diagrams
        reached = dict.fromkeys((node.name for node in supergraph), FALSE)
        reached[supergraph.output.name] = TRUE
        # Backwards, all readers of a node are done before its own condition is passed to its inputs.
        for node in reversed(supergraph.nodes):
            if isinstance(node.op, Zero):  # it takes a shape from its input, and no value
                continue
            for i, name in enumerate(node.inputs):
                reads = reached[node.name]
                if isinstance(node.op, Choose):
                    reads = d.both(reads, d.selects(index[node.op.choice], node.op.options[i]))
                reached[name] = d.either(reached[name], reads)
        return reached

    def _active(self, supergraph: Graph, choices: Sequence[Choice], index: Mapping[str, int]) -> tuple[int, ...]:
        """Return where some live node depends on each choice; shape choices are active everywhere."""
        active = [TRUE if choice.static else FALSE for choice in choices]
        for node, live in zip(supergraph, self.live, strict=True):
            if isinstance(node.op, Choose):
                i = index[node.op.choice]
                active[i] = self.diagrams.either(active[i], live)
        return tuple(active)

    def _live(self, op: object, inputs: list[int], nonzero: int, reached: int) -> int:
        """Return where `derive` keeps a node: the output reads it, and it is not made of zeros."""
        if isinstance(op, Add):  # with one term left, a sum is no kernel
            nonzero = self.diagrams.both(*inputs)
        return self.diagrams.both(reached, nonzero)
