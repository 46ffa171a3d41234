"""Objects that a Python caller passes where the command line has a name: data, a space, a strategy."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.random import Generator

from edgenas.errors import UnknownName, UsageError
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Context, Priced, Strategy
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.system import plugins
from edgenas.system.contracts import check_contract
from edgenas.workflows.config import Config
from edgenas.workflows.pretrained import space_source

if TYPE_CHECKING:
    from edgenas.data.base import Data

Arrays: TypeAlias = tuple[Any, Any]
SpaceLike: TypeAlias = "str | type[SearchSpace] | Callable[[Shape, int], SearchSpace]"
DataLike: TypeAlias = "str | os.PathLike[str] | Data | Arrays"
StrategyLike: TypeAlias = "str | type[Strategy] | Callable[[Problem, Generator], Strategy]"


@dataclass(frozen=True)
class Given:
    """What stands for a name of the configuration; None where the name itself counts.

    Args:
        data: a data set, or images and labels as two arrays.
        space: a class of spaces, or a function of shape and number of classes.
        strategy: a class of strategies, or a function of a problem and a generator of random numbers.
    """

    data: Data | Arrays | None = None
    space: Callable[[Shape, int], SearchSpace] | None = None
    strategy: StrategyBuilder | None = None


class StrategyBuilder:
    """A function of problem and generator, with what a run reads of a class of strategies."""

    reward_form = "hard"  # a function cannot say; `reward` of the configuration still can
    options: Mapping[str, tuple[str, ...]] = {}
    trains_weights = False

    def __init__(self, make: Callable[[Problem, Generator], Strategy]) -> None:
        """`make` returns the strategy for a problem."""
        self.make = make

    def build(self, priced: Priced, ctx: Context, options: Mapping[str, str]) -> Strategy:
        """Return the strategy for a run; there are no options that a function could get.

        Raises:
            UsageError: the function returned something else.
        """
        strategy = self.make(priced.problem, ctx.rng("strategy"))
        if not isinstance(strategy, Strategy):
            raise UsageError(f"strategy: {self.make} returned {type(strategy).__name__}, no edgenas.Strategy")
        return strategy


def split_given(values: Mapping[str, Any]) -> tuple[dict[str, Any], Given]:
    """Return settings by name, and the objects among them, for which a name stands in the settings.

    Args:
        values: settings, of which `data`, `space` and `strategy` may be objects.

    Raises:
        UsageError: an object is none of those that can be given.
    """
    settings, given = dict(values), {}
    data = values.get("data")
    if isinstance(data, os.PathLike):  # a path is never a name
        # Made absolute where it would read as a name: as a text, a plugin's name wins over a folder.
        settings["data"] = str(Path.cwd() / data) if os.fspath(data) in plugins.names("data") else os.fspath(data)
    elif data is not None and not isinstance(data, str):
        settings["data"], given["data"] = _data_name(data), data
    space = values.get("space")
    if space is not None and not isinstance(space, str):
        if not callable(space):
            raise UsageError(f"space: {type(space).__name__} is no name, no class and no function of shape and classes")
        settings["space"], given["space"] = _name(space), space
    strategy = values.get("strategy")
    if strategy is not None and not isinstance(strategy, str):
        builder, own = _builder(strategy), _own_strategy(strategy)
        settings["strategy"] = own or _name(strategy)
        # A class that comes with edgenas is as good by name, and the run can then be resumed without the object.
        given |= {} if own else {"strategy": builder}
    return settings, Given(**given)


@contextmanager
def objects_again() -> Iterator[None]:
    """Say, where a name of a run that is opened means nothing, that an object from Python may have stood for it.

    Raises:
        UsageError: there is no plugin of a name.
    """
    try:
        yield
    except UnknownName as error:
        raise UsageError(
            f"{error}; if the run was begun with objects from Python, give them again, as data= and space="
        ) from error


def build_given_space(config: Config, given: Given, shape: Shape, classes: int) -> SearchSpace:
    """Return the space that was given, or that of the configuration's name."""
    return build_space(given.space or space_source(config), shape, classes)


def strategy_of(config: Config, given: Given) -> type[Strategy] | StrategyBuilder:
    """Return what builds the strategy that was given, or that of the configuration's name."""
    builder: type[Strategy] | StrategyBuilder = given.strategy or plugins.load("strategies", config.strategy)
    if inspect.isclass(builder):  # now, and not after the minutes of measuring that precede its `build`
        _check_constructor(builder)
    return builder


def options_of(config: Config, strategy: type[Strategy] | StrategyBuilder) -> dict[str, str]:
    """Return a value for each option of the strategy, the first of each where none is given.

    Args:
        config: with the values that were given, and the strategy's name for messages.
        strategy: whose options they are.

    Raises:
        UsageError: one that the strategy does not have, or no value of it.
    """
    known = strategy.options
    options = {name: values[0] for name, values in known.items()}
    for name, value in config.options.items():
        if name not in known:
            there = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(f"--options {name}={value}: {config.strategy} has no option {name!r}; {there}")
        if value not in known[name]:
            raise UsageError(f"--options {name}={value}: {name} is one of {', '.join(known[name])}")
        options[name] = value
    return options


def _builder(strategy: Any) -> Any:
    """A class as it is, a function wrapped. Raises UsageError for anything else."""
    if inspect.isclass(strategy) and issubclass(strategy, Strategy):
        check_contract("strategies", strategy, strategy.__name__)
        return strategy
    if not callable(strategy):
        raise UsageError(
            f"strategy: {type(strategy).__name__} is no name, no class and no function of problem and generator; "
            "pass the class, or functools.partial of it with its settings"
        )
    return StrategyBuilder(strategy)


def _check_constructor(strategy: type[Any]) -> None:
    """Check that the contract's own `build` can make this strategy, where it has no other.

    Raises:
        UsageError: it cannot be called with a problem and a generator.
    """
    # A `build` of its own, or of a base of its own, may call any constructor.
    if next(base for base in strategy.__mro__ if "build" in vars(base)) is not Strategy:
        return
    try:
        inspect.signature(strategy).bind("problem", "rng")
    except TypeError as error:
        raise UsageError(
            f"{strategy.__name__} is no strategy of edgenas: it cannot be made with (problem, rng) ({error}); take "
            "both in __init__, or write build(priced, ctx, options)"
        ) from error


def _own_strategy(strategy: Any) -> str | None:
    """The name of the plugin whose class this is, if it is one of those that come with edgenas."""
    room, _, name = getattr(strategy, "__module__", "").rpartition(".")
    if inspect.isclass(strategy) and room == "edgenas.strategies" and name in plugins.names("strategies"):
        return name if plugins.load("strategies", name) is strategy else None
    return None


def _data_name(data: Any) -> str:
    """A name for data that was given as an object. Raises UsageError if it is no data."""
    name = getattr(data, "name", None)
    if isinstance(name, str):
        return name
    if isinstance(data, tuple) and len(data) == 2 and all(hasattr(part, "__len__") for part in data):
        return "arrays"
    raise UsageError(f"data: {type(data).__name__} is no name, no path, no (images, labels) and no edgenas.Data")


def _name(given: Any) -> str:
    """`module.Name`, or what a function of functools wraps."""
    inner = getattr(given, "func", given)  # `functools.partial` has no name, and what it wraps has
    return f"{inner.__module__}.{inner.__qualname__}" if hasattr(inner, "__qualname__") else type(given).__name__
