"""Programs of ops: Node, Graph, and the Builder that spaces write with.

A *supergraph* holds every alternative, joined by `Choose` nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edgenas.graph.ops import (
    FREE,
    Act,
    Add,
    Choose,
    Concat,
    Conv,
    FactorizedReduce,
    GlobalPool,
    Input,
    Linear,
    Op,
    Parameters,
    Pool,
    Shape,
    SqueezeExcite,
    Zero,
    shape_text,
)

Arch = tuple[int, ...]
Option = int | float | str | bool

OPTION = "@"  # in the name of a group of weights: what follows names the option that has them for itself


@dataclass(frozen=True)
class Choice:
    """A decision and its options; an architecture holds the index of one.

    Shape choices, such as width and resolution, are `static`: they change shapes downstream, so that their alternatives
    cannot be mixed, and a program is written for one combination of their options.

    >>> Choice("kernel", (3, 5)).options[1]
    5
    >>> Choice("width", (0.5, 1.0), static=True).static
    True
    """

    name: str
    options: tuple[Option, ...]
    static: bool = False


# Ops have slots, nodes and graphs do not: `cached_property` keeps its value in the `__dict__` of the instance.
@dataclass(frozen=True)
class Node:
    """One op applied to named inputs. `name` is unique in its graph; `weights` names its parameter group."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    in_shapes: tuple[Shape, ...]
    shape: Shape
    weights: str

    @cached_property
    def key(self) -> str:
        """Return the row name in every latency table, free of precision: `conv k3 s2 g1 relu6 16 | 3x224x224`."""
        # Latency tables hold these texts: another form would orphan their rows. Only the inputs of a Concat may differ
        # in shape, so for any other op the first one says all.
        shapes = self.in_shapes if isinstance(self.op, Concat) else self.in_shapes[:1]
        return f"{self.op.label()} | {' + '.join(map(shape_text, shapes))}"

    @property
    def parameters(self) -> Parameters:
        """Return the shapes of its parameters after batch norm is folded."""
        return self.op.parameters(*self.in_shapes)

    @property
    def priced(self) -> bool:
        """Tell whether it is a kernel that takes time."""
        return not isinstance(self.op, FREE)


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order: the first is the Input, the last the output. `arch` is None for a supergraph."""

    nodes: tuple[Node, ...]
    arch: Arch | None = None

    def __iter__(self) -> Iterator[Node]:
        """Iterate over the nodes, inputs before their readers."""
        return iter(self.nodes)

    @property
    def input(self) -> Node:
        """Return the Input node."""
        return self.nodes[0]

    @property
    def output(self) -> Node:
        """Return the node whose value is the result."""
        return self.nodes[-1]

    @cached_property
    def priced(self) -> tuple[Node, ...]:
        """Return the nodes that take time."""
        return tuple(node for node in self.nodes if node.priced)


class Builder:
    """Writes a program, node by node; shapes are inferred here and nowhere else.

    Every method appends one node under a unique `name` and returns it. Nodes that name the same `weights` share one
    group of parameters, of which smaller nodes take a slice; by default a node has a group of its own.

    >>> g = Builder((3, 32, 32), (Choice("kernel", (3, 5)),), {})
    >>> kernels = {k: g.conv(f"conv{k}", g.input, out=16, kernel=k, stride=2, weights="conv") for k in (3, 5)}
    >>> x = g.choose("kernel", kernels)
    >>> x.shape
    (16, 16, 16)
    >>> [node.name for node in g.graph()]
    ['input', 'conv3', 'conv5', 'kernel']
    """

    def __init__(self, input_shape: Shape, choices: tuple[Choice, ...], statics: Mapping[str, int]) -> None:
        """Begin with the input alone.

        Args:
            input_shape: (C, H, W).
            choices: those that `choose` and `pick` may name.
            statics: the option index of every shape choice, by name.
        """
        self._choices = {choice.name: choice for choice in choices}
        self._statics = dict(statics)
        # In the order of writing, which is topological: a node can only read what was written before it.
        self._nodes: dict[str, Node] = {}
        self.input = Node("input", Input(), (), (), input_shape, "input")
        self._nodes["input"] = self.input

    def append(self, name: str, op: Op, *inputs: Node, weights: str | None = None) -> Node:
        """Append a node.

        Args:
            name: of the node.
            op: what it computes.
            inputs: what it reads.
            weights: name of its group of parameters, by default its own name.

        Raises:
            ValueError: the name is used twice, or the shapes of the inputs do not fit.
        """
        if name in self._nodes:
            raise ValueError(f"two nodes named {name!r}")
        shapes = tuple(node.shape for node in inputs)
        node = Node(name, op, tuple(node.name for node in inputs), shapes, op.shape(*shapes), weights or name)
        self._nodes[name] = node
        return node

    def conv(
        self,
        name: str,
        x: Node,
        *,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: str = "none",
        dilation: int = 1,
        weights: str | None = None,
    ) -> Node:
        """Append a convolution, its batch norm and its activation.

        Args:
            name: of the node.
            x: what it reads, (C, H, W).
            out: channels of the result.
            kernel: pixels a side, odd; the image is padded by `dilation * (kernel // 2)` zeros.
            stride: by which the sides are divided, rounded up.
            groups: of channels, which divide both C and `out`.
            act: none, relu, relu6, hswish, sigmoid, silu or hsigmoid.
            dilation: pixels from one element of the kernel to the next.
            weights: name of its group of parameters, by default its own name.
        """
        return self.append(name, Conv(out, kernel, stride, groups, act, dilation), x, weights=weights)

    def depthwise(
        self,
        name: str,
        x: Node,
        *,
        kernel: int = 3,
        stride: int = 1,
        act: str = "none",
        dilation: int = 1,
        weights: str | None = None,
    ) -> Node:
        """Append a convolution of each channel with a kernel of its own; parameters are those of `conv`."""
        channels = x.shape[0]
        return self.append(name, Conv(channels, kernel, stride, channels, act, dilation), x, weights=weights)

    def factorized_reduce(self, name: str, x: Node, *, out: int, weights: str | None = None) -> Node:
        """Append two interleaved 1x1 convolutions that halve the side, and their batch norm."""
        return self.append(name, FactorizedReduce(out), x, weights=weights)

    def pool(self, name: str, x: Node, mode: str, *, kernel: int = 3, stride: int = 1) -> Node:
        """Append pooling over `kernel` x `kernel` pixels, of `mode` max or avg; the average leaves padding out."""
        return self.append(name, Pool(mode, kernel, stride), x)

    def act(self, name: str, x: Node, act: str) -> Node:
        """Append an activation on its own."""
        return self.append(name, Act(act), x)

    def squeeze_excite(self, name: str, x: Node, *, hidden: int, weights: str | None = None) -> Node:
        """Append channel attention with a sigmoid gate and `hidden` channels in between."""
        return self.append(name, SqueezeExcite(hidden), x, weights=weights)

    def global_pool(self, name: str, x: Node) -> Node:
        """Append the mean over height and width, (C, 1, 1)."""
        return self.append(name, GlobalPool(), x)

    def linear(self, name: str, x: Node, *, out: int, weights: str | None = None) -> Node:
        """Append a fully connected layer; `x` is (C, 1, 1)."""
        return self.append(name, Linear(out), x, weights=weights)

    def add(self, name: str, x: Node, y: Node) -> Node:
        """Append the sum of `x` and `y`, which have one shape."""
        return self.append(name, Add(), x, y)

    def concat(self, name: str, *xs: Node) -> Node:
        """Append the channels of all inputs, in order."""
        return self.append(name, Concat(), *xs)

    def zero(self, name: str, x: Node) -> Node:
        """Append zeros of the shape of `x`."""
        return self.append(name, Zero(), x)

    def choose(self, choice: str, alternatives: Mapping[Any, Node], *, name: str | None = None) -> Node:
        """Append the alternative that `choice` selects.

        Args:
            choice: name of a choice that is no shape choice.
            alternatives: the node that each option of the choice stands for, all of one shape; an option may be left
                out where no architecture that takes it reads this node.
            name: of the node, by default the choice's: where a choice decides at several places, each needs its own.

        Raises:
            KeyError: there is no such choice.
            ValueError: it is a shape choice or lacks one of the options, or the alternatives differ in shape.
        """
        options = self._choices[choice].options
        if self._choices[choice].static:
            raise ValueError(f"{choice!r} is a shape choice (static): use pick()")
        # Indices, as architectures and the decisions of `derive` hold them.
        indices = tuple(options.index(option) for option in alternatives)
        return self.append(name or choice, Choose(choice, indices), *alternatives.values())

    def pick(self, choice: str) -> Option:
        """Return the option of a shape choice that this program is written for.

        Raises:
            KeyError: there is no such shape choice.
        """
        return self._choices[choice].options[self._statics[choice]]

    def graph(self) -> Graph:
        """Return the program so far; its last node is the output."""
        return Graph(tuple(self._nodes.values()))
