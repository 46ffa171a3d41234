"""When is a node of a supergraph part of the derived graph? Exactly, for all architectures at once.

Each node's condition is a multi-valued decision diagram over the choices: Bryant's reduced ordered diagrams (1986) with
one branch per option. One pass over the diagrams turns independent option probabilities into the probability that each
node is live, by additions and multiplications alone: it works on floats, numpy columns and torch tensors, and one-hot
probabilities give exactly the nodes that `derive` keeps. For architectures, `Answers` follows the branches instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.graph.graph import Choice, Graph
from edgenas.graph.ops import Add, Choose, Concat, Input, Linear, Zero

FALSE, TRUE = 0, 1


class Diagrams:
    """Hash-consed decision diagrams; an id is a function of the choices, equal ids are equal functions."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """`sizes[v]` is the number of options of choice v; choices are tested in this order."""
        self.sizes = sizes
        self.tests: list[tuple[int, tuple[int, ...]]] = [(len(sizes), ()), (len(sizes), ())]
        self._ids: dict[tuple[int, tuple[int, ...]], int] = {}
        self._joined: dict[tuple[bool, int, int], int] = {}

    def test(self, choice: int, branches: tuple[int, ...]) -> int:
        """Diagram that continues with `branches[option]`."""
        if len(set(branches)) == 1:
            return branches[0]
        key = (choice, branches)
        if key not in self._ids:
            self._ids[key] = len(self.tests)
            self.tests.append(key)
        return self._ids[key]

    def selects(self, choice: int, option: int) -> int:
        """True where `choice` takes `option`."""
        return self.test(choice, tuple(TRUE if o == option else FALSE for o in range(self.sizes[choice])))

    def both(self, a: int, b: int) -> int:
        """a and b."""
        return self._join(True, a, b)

    def either(self, a: int, b: int) -> int:
        """a or b."""
        return self._join(False, a, b)

    def _join(self, conjunction: bool, a: int, b: int) -> int:
        absorbing, neutral = (FALSE, TRUE) if conjunction else (TRUE, FALSE)
        if absorbing in (a, b):
            return absorbing
        if a == neutral or a == b:
            return b
        if b == neutral:
            return a
        key = (conjunction, min(a, b), max(a, b))
        if key not in self._joined:
            (choice_a, branches_a), (choice_b, branches_b) = self.tests[a], self.tests[b]
            choice = min(choice_a, choice_b)
            size = self.sizes[choice]
            pairs = zip(
                branches_a if choice_a == choice else (a,) * size,
                branches_b if choice_b == choice else (b,) * size,
                strict=True,
            )
            self._joined[key] = self.test(choice, tuple(self._join(conjunction, x, y) for x, y in pairs))
        return self._joined[key]

    def supports(self) -> list[frozenset[int]]:
        """The choices that each diagram depends on."""
        found: list[frozenset[int]] = [frozenset(), frozenset()]
        for choice, branches in self.tests[2:]:
            found.append(frozenset([choice]).union(*(found[branch] for branch in branches)))
        return found


class Answers:
    """Some diagrams, asked of many architectures: each choice is looked at once, the last one first.

    `levels` holds, for each choice, the places of the branches (diagrams, options) of the diagrams that test it; places
    are in the order of the levels, behind false and true. `wanted` are the places of the answers.
    """

    def __init__(self, diagrams: Diagrams, wanted: Sequence[int]) -> None:
        """`wanted` are diagram ids, in the order of the answers."""
        needed = {FALSE, TRUE, *wanted}
        for diagram in range(len(diagrams.tests) - 1, TRUE, -1):  # branches come before what tests them
            if diagram in needed:
                needed.update(diagrams.tests[diagram][1])
        order = sorted(needed, key=lambda diagram: -diagrams.tests[diagram][0])
        place = {diagram: i for i, diagram in enumerate(order)}
        levels: dict[int, list[list[int]]] = {}
        for diagram in order[2:]:
            choice, branches = diagrams.tests[diagram]
            levels.setdefault(choice, []).append([place[branch] for branch in branches])
        self.levels = [(choice, np.array(branches)) for choice, branches in levels.items()]
        self.wanted = np.array([place[diagram] for diagram in wanted], dtype=np.intp)
        self._true, self._size = place[TRUE], len(order)

    def __call__(self, archs: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which diagrams hold (len(archs), len(wanted)) for architectures (len(archs), choices)."""
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
        """Diagrams are built once; `probabilities` is then one pass."""
        self.diagrams = Diagrams([len(choice.options) for choice in choices])
        index = {choice.name: i for i, choice in enumerate(choices)}
        nonzero = self._nonzero(supergraph, index)
        reached = self._reached(supergraph, index)
        self.live: tuple[int, ...] = tuple(
            self._live(node.op, [nonzero[name] for name in node.inputs], nonzero[node.name], reached[node.name])
            for node in supergraph
        )
        self.nonzero: tuple[int, ...] = tuple(nonzero.values())
        self.asked: tuple[int, ...] = self._asked(supergraph, choices, index)

    @cached_property
    def nodes(self) -> Answers:
        """Which nodes are live."""
        return Answers(self.diagrams, self.live)

    @cached_property
    def values(self) -> Answers:
        """Which nodes give something else than zeros."""
        return Answers(self.diagrams, self.nonzero)

    @cached_property
    def questions(self) -> Answers:
        """Which choices are asked: options of the others change nothing."""
        return Answers(self.diagrams, self.asked)

    def probabilities(self, options: Sequence[Sequence[Any]]) -> list[Any]:
        """P(node is live) for each node, given `options[choice][option]` = its probability, choices independent.

        Entries may be floats, or arrays or tensors of one shape (say one column per architecture).
        """
        values: list[Any] = [0.0, 1.0]
        for choice, branches in self.diagrams.tests[2:]:
            total: Any = 0.0
            for probability, branch in zip(options[choice], branches, strict=True):
                if branch != FALSE:
                    total = total + (probability if branch == TRUE else probability * values[branch])
            values.append(total)
        return [values[live] for live in self.live]

    def _nonzero(self, supergraph: Graph, index: Mapping[str, int]) -> dict[str, int]:
        """Where each value is something else than propagated zeros."""
        d = self.diagrams
        nonzero: dict[str, int] = {}
        for node in supergraph:
            inputs = [nonzero[name] for name in node.inputs]
            if isinstance(node.op, Zero):
                value = FALSE
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
        """Where the output reads each value."""
        d = self.diagrams
        reached = dict.fromkeys((node.name for node in supergraph), FALSE)
        reached[supergraph.output.name] = TRUE
        for node in reversed(supergraph.nodes):
            if isinstance(node.op, Zero):  # takes a shape from its input, no value
                continue
            for i, name in enumerate(node.inputs):
                reads = reached[node.name]
                if isinstance(node.op, Choose):
                    reads = d.both(reads, d.selects(index[node.op.choice], node.op.options[i]))
                reached[name] = d.either(reached[name], reads)
        return reached

    def _asked(self, supergraph: Graph, choices: Sequence[Choice], index: Mapping[str, int]) -> tuple[int, ...]:
        """Where some live node asks each choice; those that are static, everywhere."""
        asked = [TRUE if choice.static else FALSE for choice in choices]
        for node, live in zip(supergraph, self.live, strict=True):
            if isinstance(node.op, Choose):
                i = index[node.op.choice]
                asked[i] = self.diagrams.either(asked[i], live)
        return tuple(asked)

    def _live(self, op: object, inputs: list[int], nonzero: int, reached: int) -> int:
        if isinstance(op, Add):  # with one term left, a sum is no kernel
            nonzero = self.diagrams.both(*inputs)
        return self.diagrams.both(reached, nonzero)
