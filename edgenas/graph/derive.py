"""Derivation of the program of one architecture from a supergraph."""

from __future__ import annotations

from collections.abc import Mapping

from edgenas.graph.graph import Arch, Graph, Node
from edgenas.graph.ops import Add, Choose, Concat, Linear, Shape, Zero


def derive(supergraph: Graph, decisions: Mapping[str, int], arch: Arch) -> Graph:
    """Return the program of one architecture: every Choose resolved, zeros propagated, dead nodes dropped.

    A sum with zeros is its other term; other ops on zeros are zeros, except Concat and Linear, which read them.

    Args:
        supergraph: the program with all alternatives.
        decisions: the option index of each choice, by name.
        arch: the architecture that the result is of.

    Raises:
        KeyError: `decisions` misses a choice, or selects an option that its Choose does not offer.
    """
    resolved: dict[str, Node | None] = {}  # None: zeros
    kept: list[Node] = []
    for node in _selected(supergraph, decisions):
        # A Choose runs nothing: its readers are wired to the alternative itself.
        if isinstance(node.op, Choose):
            resolved[node.name] = resolved[_chosen(node, decisions)]
            continue
        sources = [resolved[name] for name in node.inputs]
        if isinstance(node.op, Zero):
            resolved[node.name] = None
        elif isinstance(node.op, Add) and None in sources:
            resolved[node.name] = next((source for source in sources if source), None)
        elif None in sources and not isinstance(node.op, Concat | Linear):
            resolved[node.name] = None
        else:
            inputs = []
            for i, source in enumerate(sources):
                if source is None:
                    # `cost.file_size` counts the zeros in a file under this name.
                    source = _zeros(f"{node.name}.zero{i}", node.in_shapes[i], supergraph.input)
                    kept.append(source)
                inputs.append(source.name)
            node = Node(node.name, node.op, tuple(inputs), node.in_shapes, node.shape, node.weights)
            resolved[node.name] = node
            kept.append(node)
    output = resolved[supergraph.output.name]
    if output is None:
        output = _zeros(supergraph.output.name, supergraph.output.shape, supergraph.input)
        kept.append(output)
    # What only a dropped node read is dead by now.
    return Graph(_reachable(kept, output), arch)


def _zeros(name: str, shape: Shape, source: Node) -> Node:
    """Return zeros of `shape` that are really there, because something reads them; `source` tells their batch."""
    return Node(name, Zero(), (source.name,), (source.shape,), shape, name)


def _chosen(node: Node, decisions: Mapping[str, int]) -> str:
    """Return the name of the input that a Choose node takes."""
    assert isinstance(node.op, Choose)
    try:
        return node.inputs[node.op.options.index(decisions[node.op.choice])]
    except ValueError as error:
        # The error of a choice without a decision, too: both are faults of `decisions`.
        raise KeyError(f"{node.name} does not offer option {decisions[node.op.choice]} of {node.op.choice}") from error


def _selected(supergraph: Graph, decisions: Mapping[str, int]) -> list[Node]:
    """Return the few nodes that the output reads under these decisions, in order; zeros are not looked at yet."""
    needed = {supergraph.output.name, supergraph.input.name}
    selected = []
    for node in reversed(supergraph.nodes):
        if node.name in needed:
            selected.append(node)
            needed.update((_chosen(node, decisions),) if isinstance(node.op, Choose) else node.inputs)
    return selected[::-1]


def _reachable(nodes: list[Node], output: Node) -> tuple[Node, ...]:
    """Return the nodes that `output` needs, and the input, in order."""
    # The input stays even if nothing reads it: every graph begins with it.
    needed = {output.name, nodes[0].name}
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return tuple(node for node in nodes if node.name in needed)
