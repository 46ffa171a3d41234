"""Small search spaces: programs drawn by hypothesis, a cell with zeros, and layers that share weights.

The module is also a plugin from outside: `tests._toys 3x8x8 4` describes its `Shared` space.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import strategies as st

from edgenas.graph.graph import Arch, Builder, Choice, Node
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace

Step = tuple[str, int, int, int]
KINDS = ("conv", "act", "zero", "add", "pool", "se", "concat", "choose")


def all_archs(space: SearchSpace) -> list[Arch]:
    return list(itertools.product(*space.allowed))


class Recipe(SearchSpace):
    """A program written by numbers: each step applies a kind of op to earlier values, counted from the latest."""

    name = "recipe"

    def __init__(self, sizes: Sequence[int], steps: Sequence[Step], *, classifier: bool) -> None:
        super().__init__((2, 4, 4), 3)
        self.choices = tuple(Choice(f"c{i}", tuple(range(size))) for i, size in enumerate(sizes))
        self.steps, self.classifier = tuple(steps), classifier

    def __repr__(self) -> str:
        return f"Recipe({[len(c.options) for c in self.choices]}, {self.steps}, classifier={self.classifier})"

    def emit(self, g: Builder) -> None:
        values = [g.input]
        for i, (kind, a, b, choice) in enumerate(self.steps):
            x, y = (values[-1 - index % len(values)] for index in (a, b))
            values.append(self._step(g, f"n{i}", kind, x, y, self.choices[choice % len(self.choices)], values))
        if self.classifier:
            g.linear("classifier", g.global_pool("mean", values[-1]), out=self.classes)

    def _step(self, g: Builder, name: str, kind: str, x: Node, y: Node, choice: Choice, values: list[Node]) -> Node:
        match kind:
            case "conv":
                return g.conv(name, x, out=2, kernel=3, act="relu")
            case "act":
                return g.act(name, x, "relu")
            case "zero":
                return g.zero(name, x)
            case "add":
                return g.add(name, x, y)
            case "pool":
                return g.pool(name, x, mode="avg")
            case "se":
                return g.squeeze_excite(name, x, hidden=1)
            case "concat":
                return g.conv(f"{name}.merge", g.concat(name, x, y), out=2)
            case _:
                first, second = values.index(x), values.index(y)
                sources = [values[(first + i * second) % len(values)] for i in range(len(choice.options))]
                return g.choose(choice.name, dict(zip(choice.options, sources, strict=True)), name=name)


def recipes(max_steps: int = 14) -> st.SearchStrategy[Recipe]:
    """Random programs with zeros, sums, concatenations and nested choices, some asked at several places."""
    index = st.integers(0, max_steps)
    steps = st.lists(st.tuples(st.sampled_from(KINDS), index, index, st.integers(0, 3)), min_size=1, max_size=max_steps)
    sizes = st.lists(st.integers(2, 3), min_size=1, max_size=4)
    return st.builds(lambda s, p, c: Recipe(s, p, classifier=c), sizes, steps, st.booleans())


class Cell(SearchSpace):
    """Three values, an op on each edge, `none` among them; the last two are concatenated and classified."""

    name = "cell"
    choices = tuple(Choice(f"{i}-{j}", ("none", "skip", "conv", "pool")) for j in (1, 2) for i in range(j))

    def __init__(self, shape: Shape = (2, 6, 6), classes: int = 3) -> None:
        super().__init__(shape, classes)

    def emit(self, g: Builder) -> None:
        values = [g.input]
        for j in (1, 2):
            edges = [self._edge(g, f"{i}-{j}", values[i]) for i in range(j)]
            values.append(edges[0] if j == 1 else g.add(f"sum{j}", *edges))
        g.linear("classifier", g.global_pool("mean", g.concat("join", *values[1:])), out=self.classes)

    def _edge(self, g: Builder, edge: str, x: Node) -> Node:
        return g.choose(
            edge,
            {
                "none": g.zero(f"{edge}.none", x),
                "skip": x,
                "conv": g.conv(f"{edge}.conv", x, out=x.shape[0], kernel=3, act="relu"),
                "pool": g.pool(f"{edge}.pool", x, mode="avg"),
            },
        )


class Shared(SearchSpace):
    """Two convolutions whose kernel, expansion, attention and width are chosen, with one weight group each."""

    name = "tests._toys"

    def __init__(self, shape: Shape = (3, 8, 8), classes: int = 4) -> None:
        super().__init__(shape, classes)
        self.choices = (
            Choice("width", (4, 8), static=True),
            Choice("expand", (1, 2)),
            Choice("kernel", (3, 5)),
            Choice("gate", (False, True)),
        )

    def emit(self, g: Builder) -> None:
        x = g.conv("stem", g.input, out=int(g.pick("width")), kernel=3, stride=2, act="relu")
        ends = {}
        for e in (1, 2):
            hidden = x.shape[0] * e
            kernels = {k: g.conv(f"e{e}.k{k}", x, out=hidden, kernel=k, act="relu6", weights="mix") for k in (3, 5)}
            h = g.choose("kernel", kernels, name=f"e{e}.kernel")
            gated = g.squeeze_excite(f"e{e}.se", h, hidden=hidden // 2, weights="se")
            h = g.choose("gate", {False: h, True: gated}, name=f"e{e}.gate")
            ends[e] = g.conv(f"e{e}.project", h, out=x.shape[0], weights="project")
        y = g.add("shortcut", x, g.choose("expand", ends))
        g.linear("classifier", g.global_pool("mean", y), out=self.classes)


def build(shape: Shape, classes: int) -> Shared:
    return Shared(shape, classes)
