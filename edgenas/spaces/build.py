"""Search spaces by name, file, class or function, and by the text that describes them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

from edgenas.errors import UsageError
from edgenas.graph.ops import Shape, shape_text
from edgenas.spaces.base import DIGITS, SearchSpace
from edgenas.system import plugins

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
        UsageError: the plugin does not keep its contract, the name is taken, the program of a space from outside is
            wrong, or the space does not take such images.
    """
    name = plugins.file_name("spaces", source) if isinstance(source, str) else ""
    make: SpaceMaker
    if not isinstance(source, str):
        make = source
    elif source in _GIVEN:
        make = _GIVEN[source]
    elif (network := _pretrained(source)) is not None:
        make = network
    else:
        make = plugins.load("spaces", source).build
    space = make(shape, classes)
    if not isinstance(space, SearchSpace):
        raise UsageError(f"{source} makes a {type(space).__name__}, which is no edgenas.SearchSpace")
    space.name = name or getattr(space, "network", "") or _name_of(make, space)
    # Tables and runs hold the name alone: a space from outside must not pass for one of ours.
    own = space.name in plugins.names("spaces")
    if own and not type(space).__module__.startswith("edgenas."):
        raise UsageError(f"edgenas has a space {space.name!r} of its own; rename {source}")
    if not own:
        _check_program(space)
        _GIVEN[space.name] = make
    return space


def _pretrained(source: str) -> SpaceMaker | None:
    """Return what makes the space of a trained network that comes with edgenas; None for any other name.

    A network of one's own is known only once it was named on the command line: a file of data must not choose what
    code runs.
    """
    if source.partition(":")[0] not in plugins.names("pretrained"):
        return None
    plugin, variant = plugins.pretrained(source)
    made: SpaceMaker = plugins.load("pretrained", plugin).build(variant, download=False, weights=None).space
    return made


def _check_program(space: SearchSpace) -> None:
    """Check what a space from outside may have wrong, before anything is measured: its choices and its program.

    Raises:
        UsageError: a choice has no options, or one twice; the program cannot be written, or does not end in classes.
    """
    for choice in space.choices:
        if not choice.options or len(set(choice.options)) < len(choice.options) or len(choice.options) > len(DIGITS):
            raise UsageError(
                f"space {space.name}: choice {choice.name!r} has the options {choice.options}; give 1 to {len(DIGITS)} "
                "different ones"
            )
    # The first and the last combination of shape choices: a space may have more of them than fit in memory.
    ends = (tuple(space.allowed[i][end] for i in space.static_indices) for end in (0, -1))
    for statics in dict.fromkeys(ends):
        try:
            output = space.supergraph(statics).output
        except UsageError:
            raise
        except Exception as error:  # whatever a foreign `emit` stumbles over
            what = f"{type(error).__name__}: {error}"
            raise UsageError(f"space {space.name}: `emit` fails ({what}); mend it and try again") from error
        if output.shape != (space.classes, 1, 1):
            raise UsageError(
                f"space {space.name}: its program ends with {output.name!r}, {shape_text(output.shape)}, not with one "
                f"number for each of {space.classes} classes; end with g.linear(..., out=self.classes)"
            )


def _name_of(make: SpaceMaker, space: SearchSpace) -> str:
    """Return the name of the plugin that builds such spaces, else the name of what made this one."""
    module = sys.modules.get(make.__module__)
    build = getattr(module, "build", None)
    # The plugin's name, so that its tables and runs serve this class as well. `__main__` is another module in every
    # process, so it names nothing.
    if module is not None and module.__name__ != "__main__" and callable(build):
        if make is build or type(build(space.shape, space.classes)) is type(space):
            return module.__name__.removeprefix("edgenas.spaces.")
    return getattr(make, "__name__", type(make).__name__)


class Spec(NamedTuple):
    """The parts of `SearchSpace.spec`: the space's name; shape (C, H, W) and number of classes of the images."""

    name: str
    shape: Shape
    classes: int


def read_spec(spec: str) -> Spec:
    """Return the parts of `SearchSpace.spec`; the space need not be known.

    Raises:
        UsageError: the text is no spec.

    >>> read_spec("mbconv 3x96x96 10")
    Spec(name='mbconv', shape=(3, 96, 96), classes=10)
    """
    try:
        name, shape, classes = spec.split()
        channels, height, width = map(int, shape.split("x"))
        return Spec(name, (channels, height, width), int(classes))
    except ValueError as error:
        raise UsageError(f"{spec!r} is no search space; expected for example 'mbconv 3x96x96 10'") from error


def parse_spec(spec: str) -> SearchSpace:
    """Build the space that `SearchSpace.spec` describes.

    Raises:
        UsageError: the text is no spec, or its space cannot be found or built.
    """
    return build_space(*read_spec(spec))
