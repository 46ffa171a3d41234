"""SearchSpace: choices and one emitted program; everything else about a space is derived from these."""

from __future__ import annotations

import copy
import itertools
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgenas.errors import UsageError
from edgenas.graph.conditions import Conditions
from edgenas.graph.graph import Arch, Builder, Choice, Graph, Option, derive
from edgenas.graph.live_sums import Sums
from edgenas.graph.ops import Shape, shape_text
from edgenas.system import plugins

Statics = tuple[int, ...]  # option index of each static choice, in the order of `choices`
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class SearchSpace(ABC):
    """A set of architectures. A subclass sets `choices` and writes `emit`."""

    name: str
    choices: tuple[Choice, ...]
    skip_options: frozenset[Option] = frozenset()  # values that stand for a skip connection, which searches may favour
    auxiliary: str | None = None  # the node that an auxiliary head reads while a network is trained

    def __init__(self, shape: Shape, classes: int) -> None:
        """Images of `shape` (C, H, W) in so many classes. Raises UsageError for sizes the space cannot fit."""
        self.shape = shape
        self.classes = classes
        self._supergraphs: dict[Statics, Graph] = {}
        self._conditions: dict[Statics, Conditions] = {}
        self._sums: dict[Statics, Sums] = {}
        self._allowed: dict[str, tuple[int, ...]] = {}

    @abstractmethod
    def emit(self, g: Builder) -> None:
        """Write the program: all alternatives, joined by `g.choose`."""

    def input_shape(self, statics: Mapping[str, Option]) -> Shape:
        """Shape of the network's input: the images', or the static choice `resolution`."""
        side = statics.get("resolution")
        return self.shape if side is None else (self.shape[0], int(side), int(side))

    # Choices and what is allowed of them

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each choice in an architecture."""
        return {choice.name: i for i, choice in enumerate(self.choices)}

    @property
    def allowed(self) -> tuple[tuple[int, ...], ...]:
        """Allowed option indices of each choice."""
        return tuple(self._allowed.get(c.name, tuple(range(len(c.options)))) for c in self.choices)

    def restrict(self, allowed: Mapping[str, Sequence[int]]) -> SearchSpace:
        """The same space with fewer options: indices keep their meaning, `decode` obeys the mask.

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

    def options_named(self, name: str, texts: Sequence[str]) -> list[int]:
        """Indices of a choice's options by their text, `1` for 1.0 too.

        Raises:
            UsageError: no such choice or option, with those there are.
        """
        if name not in self.index:
            raise UsageError(f"space {self.name} has no choice {name!r}; it has {', '.join(self.index)}")
        options = self.choices[self.index[name]].options
        known = {f"{o:g}" if isinstance(o, float) else str(o): i for i, o in enumerate(options)}
        unknown = [text for text in texts if text not in known]
        if unknown:
            raise UsageError(f"space {self.name}: {name} has no option {unknown[0]!r}; it has {', '.join(known)}")
        return [known[text] for text in texts]

    def decode(self, scores: Sequence[Sequence[float]]) -> Arch:
        """The architecture of the highest allowed score per choice; the first of equals. Every result is valid."""
        return tuple(
            max(allowed, key=lambda option, row=row: row[option])  # type: ignore[misc]
            for row, allowed in zip(scores, self.allowed, strict=True)
        )

    # Statics

    @cached_property
    def static_indices(self) -> tuple[int, ...]:
        """Positions of the static choices."""
        return tuple(i for i, choice in enumerate(self.choices) if choice.static)

    def statics(self, arch: Arch) -> Statics:
        """The static part of an architecture."""
        return tuple(arch[i] for i in self.static_indices)

    def by_statics(self, rows: NDArray[np.uint8]) -> dict[Statics, list[int]]:
        """Positions of the architectures, `rows` of them, that share their static part."""
        groups: dict[Statics, list[int]] = {}
        for i, statics in enumerate(rows[:, list(self.static_indices)].tolist()):
            groups.setdefault(tuple(statics), []).append(i)
        return groups

    def all_statics(self) -> Iterator[Statics]:
        """Every allowed combination of static options."""
        return itertools.product(*(self.allowed[i] for i in self.static_indices))

    def static_values(self, statics: Statics) -> dict[str, Option]:
        """Values of the static choices by name."""
        chosen = (self.choices[i] for i in self.static_indices)
        return {choice.name: choice.options[o] for choice, o in zip(chosen, statics, strict=True)}

    # Programs

    def supergraph(self, statics: Statics) -> Graph:
        """The program with every alternative, for one combination of static options."""
        if statics not in self._supergraphs:
            picks = {self.choices[i].name: option for i, option in zip(self.static_indices, statics, strict=True)}
            builder = Builder(self.input_shape(self.static_values(statics)), self.choices, picks)
            self.emit(builder)
            self._supergraphs[statics] = builder.graph()
        return self._supergraphs[statics]

    def conditions(self, statics: Statics) -> Conditions:
        """When each node of `supergraph(statics)` is live."""
        if statics not in self._conditions:
            self._conditions[statics] = Conditions(self.supergraph(statics), self.choices)
        return self._conditions[statics]

    def graph(self, arch: Arch) -> Graph:
        """The program of one architecture. Raises UsageError if `arch` does not belong to the space."""
        self.check(arch)
        decisions = {choice.name: option for choice, option in zip(self.choices, arch, strict=True)}
        return derive(self.supergraph(self.statics(arch)), decisions, arch)

    def sums(self, statics: Statics) -> Sums:
        """Sums over the live nodes of `supergraph(statics)`."""
        if statics not in self._sums:
            conditions = self.conditions(statics)
            self._sums[statics] = Sums(conditions.diagrams, conditions.live)
        return self._sums[statics]

    def rows(self, archs: Sequence[Arch]) -> NDArray[np.uint8]:
        """Architectures as an array (len(archs), choices)."""
        # An option has one digit, so one byte holds it; numpy takes ten times as long to read tuples.
        return np.frombuffer(b"".join(map(bytes, archs)), np.uint8).reshape(len(archs), len(self.choices))

    def live(self, statics: Statics, archs: Sequence[Arch]) -> NDArray[np.bool_]:
        """Which nodes of `supergraph(statics)` each architecture keeps: bool (len(archs), nodes)."""
        return self.conditions(statics).nodes(self.rows(archs))

    def asked(self, rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which choices decide something in each architecture, `rows` of them: bool, shaped alike."""
        asked = np.empty(rows.shape, dtype=bool)
        for statics, members in self.by_statics(rows).items():
            asked[members] = self.conditions(statics).questions(rows[members])
        return asked

    # Text

    def check(self, arch: Arch) -> None:
        """Raises UsageError if `arch` has the wrong length or an option that does not exist."""
        if len(arch) != len(self.choices):
            raise UsageError(f"space {self.name}: an architecture has {len(self.choices)} choices, got {len(arch)}")
        for choice, option in zip(self.choices, arch, strict=True):
            if not 0 <= option < len(choice.options):
                raise UsageError(f"space {self.name}: {choice.name} has no option number {option}")

    @property
    def spec(self) -> str:
        """Text that rebuilds the unrestricted space: `mbconv 3x96x96 10`."""
        return f"{self.name} {shape_text(self.shape)} {self.classes}"

    def code(self, arch: Arch) -> str:
        """One base-36 digit per choice."""
        return "".join(DIGITS[option] for option in arch)

    def published(self, arch: Arch) -> str:
        """The form that papers write it in, which `parse` reads as well; of a space without one, the code."""
        return self.code(arch)

    def read_published(self, text: str) -> Arch | None:
        """Inverse of `published`; None for text that is not of that form.

        Raises:
            UsageError: it is of that form, but no architecture of this space.
        """
        return None

    def parse(self, code: str) -> Arch:
        """Inverse of `code`, and of `published`.

        Raises:
            UsageError: the text is not an architecture of this space.
        """
        if (arch := self.read_published(code)) is not None:
            self.check(arch)
            return arch
        code = code.strip().lower()
        if not code or any(digit not in DIGITS for digit in code):
            raise UsageError(f"space {self.name}: {code!r} is not an architecture ({len(self.choices)} base-36 digits)")
        arch = tuple(DIGITS.index(digit) for digit in code)
        self.check(arch)
        return arch

    def values(self, arch: Arch) -> dict[str, Option]:
        """Option values by choice name."""
        return {choice.name: choice.options[o] for choice, o in zip(self.choices, arch, strict=True)}


SpaceMaker = Callable[[Shape, int], SearchSpace]  # a class of spaces, or a function that makes one

# Makers of the spaces that came from a file or an object, by the name in their specs, so that `parse_spec` finds them:
# a file may be anywhere, and a class may be in no module that can be imported by name.
_GIVEN: dict[str, SpaceMaker] = {}


def build_space(source: str | SpaceMaker, shape: Shape, classes: int) -> SearchSpace:
    """Build the space that `source` means, and name it.

    Args:
        source: the name of a plugin, as `plugins.load` takes it, or a class or function that is called with `shape` and
            `classes`. The space is named as the plugin, or by the stem of its file; one from a class, as the plugin
            that builds such spaces, if there is one, else as the class.
        shape: of the images, (C, H, W).
        classes: how many classes the images have.

    Raises:
        UnknownName: there is no such plugin.
        UsageError: the plugin does not keep its contract, the name is taken, or the space does not take such images.
    """
    name = plugins.file_name("spaces", source) if isinstance(source, str) else ""
    make: SpaceMaker
    if not isinstance(source, str):
        make = source
    elif source in _GIVEN:
        make = _GIVEN[source]
    else:
        make = plugins.load("spaces", source).build
    space = make(shape, classes)
    if not isinstance(space, SearchSpace):
        raise UsageError(f"{source} makes a {type(space).__name__}, which is no edgenas.SearchSpace")
    space.name = name or _name_of(make, space)
    own = space.name in plugins.names("spaces")
    if own and not type(space).__module__.startswith("edgenas."):
        raise UsageError(f"edgenas has a space {space.name!r} of its own; rename {source}")
    if not own:
        _GIVEN[space.name] = make
    return space


def _name_of(make: SpaceMaker, space: SearchSpace) -> str:
    """Return the name of the plugin that builds such spaces, else the name of what made this one."""
    module = sys.modules.get(make.__module__)
    build = getattr(module, "build", None)
    if module is not None and module.__name__ != "__main__" and callable(build):
        if make is build or type(build(space.shape, space.classes)) is type(space):
            return module.__name__.removeprefix("edgenas.spaces.")
    return getattr(make, "__name__", type(make).__name__)


def parse_spec(spec: str) -> SearchSpace:
    """Build the space that `SearchSpace.spec` describes.

    Raises:
        UsageError: the text is no spec, or its space cannot be found or built.
    """
    try:
        name, shape, classes = spec.split()
        channels, height, width = map(int, shape.split("x"))
        number = int(classes)
    except ValueError as error:
        raise UsageError(f"{spec!r} is no search space; expected for example 'mbconv 3x96x96 10'") from error
    return build_space(name, (channels, height, width), number)
