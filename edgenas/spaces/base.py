"""SearchSpace: choices and one emitted program; everything else about a space is derived from these.

Choices that change shapes downstream, such as width and resolution, are called shape choices in prose and `static` in
identifiers. A program is written for one combination of their options, its *statics*.
"""

from __future__ import annotations

import copy
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgenas.errors import UsageError
from edgenas.graph.conditions import Conditions
from edgenas.graph.derive import derive
from edgenas.graph.graph import Arch, Builder, Choice, Graph, Option
from edgenas.graph.live_sums import LiveSums
from edgenas.graph.ops import Shape, shape_text

Statics = tuple[int, ...]  # option index of each shape choice, in the order of `choices`
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # one for each option in a code: a choice has 36 at most


class SearchSpace(ABC):
    """A set of architectures. A subclass sets `choices` and writes `emit`; nothing else is needed.

    Costs, networks, supernets, ONNX models and device kits all read the program that `emit` writes.

    >>> import edgenas
    >>> from edgenas.graph.graph import Builder, Choice
    >>> class Tiny(edgenas.SearchSpace):
    ...     '''Two convolutions, kernel searched.'''
    ...     choices = (Choice("k0", (3, 5)), Choice("k1", (3, 5)))
    ...
    ...     def emit(self, g: Builder) -> None:
    ...         x = g.conv("stem", g.input, out=16, kernel=3, stride=2, act="relu")
    ...         for i in range(2):
    ...             x = g.choose(f"k{i}", {k: g.conv(f"c{i}.k{k}", x, out=16, kernel=k) for k in (3, 5)})
    ...         g.linear("head", g.global_pool("pool", x), out=self.classes)
    >>> space = Tiny((3, 32, 32), 10)
    >>> space.values((0, 1))
    {'k0': 3, 'k1': 5}
    >>> [node.name for node in space.graph((0, 1))]
    ['input', 'stem', 'c0.k3', 'c1.k5', 'pool', 'head']
    >>> space.graph((0, 1)).nodes[2].key
    'conv k3 s1 g1 none 16 | 16x16x16'

    `edgenas.search(..., space=Tiny)` searches it. On the command line, `--space ./tiny.py` does, if the file has a
    function `build(shape, classes)` that returns `Tiny(shape, classes)`.
    """

    name: str  # the first word of `spec`; the class's own name until `build_space` sets it
    choices: tuple[Choice, ...]
    skip_options: frozenset[Option] = frozenset()  # values that stand for a skip connection, which searches may favour
    # Whether latencies are corrected by the size of ops, and intervals answer for estimates by whole networks. Tables
    # of older spaces go on predicting what they predicted.
    corrected_by_size: bool = False
    auxiliary: str | None = None  # the node that an auxiliary head reads while a network is trained

    def __init__(self, shape: Shape, classes: int) -> None:
        """Prepare the space of networks for images of `shape` (C, H, W), in `classes` classes.

        Raises:
            UsageError: the space cannot fit images of this size.
        """
        if not hasattr(self, "name"):
            self.name = type(self).__name__
        self.shape = shape
        self.classes = classes
        self._supergraphs: dict[Statics, Graph] = {}
        self._conditions: dict[Statics, Conditions] = {}
        self._live_sums: dict[Statics, LiveSums] = {}
        self._allowed: dict[str, tuple[int, ...]] = {}

    @abstractmethod
    def emit(self, g: Builder) -> None:
        """Write the program: all alternatives, joined by `g.choose`."""

    def input_shape(self, statics: Mapping[str, Option]) -> Shape:
        """Return the shape of the network's input: that of the images, or with the side that `resolution` chooses."""
        side = statics.get("resolution")
        return self.shape if side is None else (self.shape[0], int(side), int(side))

    @property
    def trained(self) -> Mapping[str, NDArray[np.float32]]:
        """Return weights that networks of the space begin with, by `<group>.<parameter>`; none if they are drawn.

        They are those of the largest members of the groups of weights; `mean` and `variance` are those of batch norm.
        """
        return {}

    # Choices and what is allowed of them

    @cached_property
    def index(self) -> dict[str, int]:
        """Return the position of each choice in an architecture, by name."""
        return {choice.name: i for i, choice in enumerate(self.choices)}

    @property
    def allowed(self) -> tuple[tuple[int, ...], ...]:
        """Return the allowed option indices of each choice."""
        return tuple(self._allowed.get(c.name, tuple(range(len(c.options)))) for c in self.choices)

    def restrict(self, allowed: Mapping[str, Sequence[int]]) -> SearchSpace:
        """Return the same space with fewer options: indices keep their meaning, and `decode` obeys the mask.

        Args:
            allowed: option indices by name of the choice; choices that are not named keep what they have.

        Raises:
            UsageError: an unknown choice, or no option left.
        """
        narrowed = copy.copy(self)  # supergraphs and conditions are shared: they do not depend on the mask
        narrowed._allowed = dict(self._allowed)
        for name, options in allowed.items():
            if name not in self.index:
                raise UsageError(f"space {self.name} has no choice {name!r}; it has {', '.join(self.index)}")
            kept = tuple(o for o in self.allowed[self.index[name]] if o in set(options))
            if not kept:
                raise UsageError(f"space {self.name}: no option of {name!r} is left")
            narrowed._allowed[name] = kept
        return narrowed

    @property
    def preferred(self) -> SearchSpace:
        """Return the part of the space that is looked at first; the rest is for budgets that it cannot meet."""
        return self

    def options_named(self, name: str, texts: Sequence[str]) -> list[int]:
        """Return the indices of a choice's options, given as text.

        Args:
            name: of the choice.
            texts: options as `str` writes them; `1` stands for 1.0, too.

        Raises:
            UsageError: no such choice or option, with those there are.
        """
        if name not in self.index:
            raise UsageError(f"space {self.name} has no choice {name!r}; it has {', '.join(self.index)}")
        options = self.choices[self.index[name]].options
        known = {f"{o:g}" if isinstance(o, float) else str(o): i for i, o in enumerate(options)}
        written = known | {str(o): i for i, o in enumerate(options)}  # 1.0 as well as 1
        unknown = [text for text in texts if text not in written]
        if unknown:
            raise UsageError(f"space {self.name}: {name} has no option {unknown[0]!r}; it has {', '.join(known)}")
        return [written[text] for text in texts]

    def decode(self, scores: Sequence[Sequence[float]]) -> Arch:
        """Return the architecture of the highest allowed score per choice, the first where scores are equal.

        Every result is valid, so `decode` turns any vector of numbers into an architecture.

        Args:
            scores: one number per option of each choice.
        """
        return tuple(
            max(allowed, key=lambda option, row=row: row[option])  # type: ignore[misc]
            for row, allowed in zip(scores, self.allowed, strict=True)
        )

    # Shape choices

    @cached_property
    def static_indices(self) -> tuple[int, ...]:
        """Return the positions of the shape choices."""
        return tuple(i for i, choice in enumerate(self.choices) if choice.static)

    def statics(self, arch: Arch) -> Statics:
        """Return the part of an architecture that shape choices decide."""
        return tuple(arch[i] for i in self.static_indices)

    def by_statics(self, rows: NDArray[np.uint8]) -> dict[Statics, list[int]]:
        """Return which `rows` of architectures (n, choices) share their statics."""
        groups: dict[Statics, list[int]] = {}
        for i, statics in enumerate(rows[:, list(self.static_indices)].tolist()):
            groups.setdefault(tuple(statics), []).append(i)
        return groups

    def all_statics(self) -> Iterator[Statics]:
        """Iterate over every allowed combination of the shape choices' options."""
        return itertools.product(*(self.allowed[i] for i in self.static_indices))

    def static_values(self, statics: Statics) -> dict[str, Option]:
        """Return the options of the shape choices by name."""
        chosen = (self.choices[i] for i in self.static_indices)
        return {choice.name: choice.options[o] for choice, o in zip(chosen, statics, strict=True)}

    # Programs

    def supergraph(self, statics: Statics) -> Graph:
        """Return the program with every alternative, for one combination of the shape choices' options."""
        if statics not in self._supergraphs:
            picks = {self.choices[i].name: option for i, option in zip(self.static_indices, statics, strict=True)}
            builder = Builder(self.input_shape(self.static_values(statics)), self.choices, picks)
            self.emit(builder)
            self._supergraphs[statics] = builder.graph()
        return self._supergraphs[statics]

    def conditions(self, statics: Statics) -> Conditions:
        """Return when each node of `supergraph(statics)` is live."""
        if statics not in self._conditions:
            self._conditions[statics] = Conditions(self.supergraph(statics), self.choices)
        return self._conditions[statics]

    def graph(self, arch: Arch) -> Graph:
        """Return the program of one architecture.

        Raises:
            UsageError: `arch` does not belong to the space.
        """
        self.check(arch)
        decisions = {choice.name: option for choice, option in zip(self.choices, arch, strict=True)}
        return derive(self.supergraph(self.statics(arch)), decisions, arch)

    def live_sums(self, statics: Statics) -> LiveSums:
        """Return the partial sums over the live nodes of `supergraph(statics)`."""
        if statics not in self._live_sums:
            conditions = self.conditions(statics)
            self._live_sums[statics] = LiveSums(conditions.diagrams, conditions.live)
        return self._live_sums[statics]

    def rows(self, archs: Sequence[Arch]) -> NDArray[np.uint8]:
        """Return architectures as an array (n, choices)."""
        # An option has one digit, so one byte holds it; numpy takes ten times as long to read tuples.
        return np.frombuffer(b"".join(map(bytes, archs)), np.uint8).reshape(len(archs), len(self.choices))

    def live(self, statics: Statics, archs: Sequence[Arch]) -> NDArray[np.bool_]:
        """Return which nodes of `supergraph(statics)` each architecture keeps: (n, nodes)."""
        return self.conditions(statics).nodes(self.rows(archs))

    def active_choices(self, rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which choices decide something in each of the architectures `rows`, both (n, choices)."""
        active = np.empty(rows.shape, dtype=bool)
        for statics, members in self.by_statics(rows).items():
            active[members] = self.conditions(statics).active_choices(rows[members])
        return active

    # Text

    def check(self, arch: Arch) -> None:
        """Check that `arch` is an architecture of the space, restricted or not.

        Raises:
            UsageError: it has the wrong length, or an option that does not exist.
        """
        if len(arch) != len(self.choices):
            wanted = f"an architecture has {len(self.choices)} choices, got {len(arch)}"
            raise UsageError(f"space {self.name}: {wanted}; `edgenas predict --samples 5` shows some of a space")
        for choice, option in zip(self.choices, arch, strict=True):
            if not 0 <= option < len(choice.options):
                raise UsageError(f"space {self.name}: {choice.name} has no option number {option}")

    @property
    def spec(self) -> str:
        """Return the text that rebuilds the unrestricted space: `mbconv 3x96x96 10`."""
        return f"{self.name} {shape_text(self.shape)} {self.classes}"

    def code(self, arch: Arch) -> str:
        """Return an architecture as text, one base-36 digit per choice."""
        return "".join(DIGITS[option] for option in arch)

    def published(self, arch: Arch) -> str:
        """Return the form that papers write an architecture in, which `parse` reads, too; the code if there is none.

        NAS-Bench-201 gives its official string, and DARTS its genotype.
        """
        return self.code(arch)

    def read_published(self, text: str) -> Arch | None:
        """Return the architecture that `published` wrote; None for text that is not of that form.

        Raises:
            UsageError: the text is of that form, but no architecture of this space.
        """
        return None

    def parse(self, code: str) -> Arch:
        """Return the architecture that `code` or `published` wrote.

        Raises:
            UsageError: the text is not an architecture of this space.
        """
        if (arch := self.read_published(code)) is None:
            digits = code.strip().lower()
            if not digits or any(digit not in DIGITS for digit in digits):
                wanted = f"{code!r} is not an architecture ({len(self.choices)} base-36 digits)"
                raise UsageError(f"space {self.name}: {wanted}; `edgenas predict --samples 5` shows some of a space")
            arch = tuple(map(DIGITS.index, digits))
        self.check(arch)
        return arch

    def values(self, arch: Arch) -> dict[str, Option]:
        """Return the options of an architecture by the name of their choice."""
        return {choice.name: choice.options[o] for choice, o in zip(self.choices, arch, strict=True)}
