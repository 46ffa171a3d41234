"""What the arguments of public functions mean: settings by name, and objects that stand for some of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgenas.workflows.config import Config, resolve
from edgenas.workflows.named import name_plugins

if TYPE_CHECKING:
    from edgenas.workflows.given import Given


def beside_run(arguments: Mapping[str, Any], *others: str) -> tuple[Given, Mapping[str, Any]]:
    """Return the objects that a run was begun with, and settings that say where things are now, to open it again.

    Args:
        arguments: by name, paths among them; None stands for what was not given.
        others: arguments that are no settings.
    """
    # A path of images is told from a name by its type, later.
    is_place = {name: isinstance(value, os.PathLike) and name != "data" for name, value in arguments.items()}
    texts = {name: os.fspath(value) if is_place[name] else value for name, value in arguments.items()}
    named, given = settings_of(texts, *others)
    # The names of objects are only what a new run would keep of them.
    stands_for = [name for name in ("data", "space") if getattr(given, name) is not None]
    return given, {name: value for name, value in named.items() if name not in stands_for}


def resolved(named: Mapping[str, Any], given: Given) -> Config:
    """Return the effective settings; of a run that is resumed, those that it was begun with."""
    if given.data is None:
        return resolve(named)
    # To resume, `resolve` looks data up by name, and the name of an object is that of no plugin and no path.
    without = {name: value for name, value in named.items() if name != "data"}
    return replace(resolve(without), data=named["data"])


def settings_of(arguments: Mapping[str, Any], *others: str) -> tuple[dict[str, Any], Given]:
    """Return the settings among a function's arguments, by name, and the objects that stand for some of them.

    Plugins that are named may be loaded then.

    Args:
        arguments: by name; None stands for what was not given.
        others: arguments that are no settings.
    """
    from edgenas.workflows.given import split_given
    from edgenas.workflows.limits import split_budgets

    # None stands for what was not given, so that a preset or a resumed run can decide it.
    left_out = {"progress", "budget_ms", *others}
    named = {name: value for name, value in arguments.items() if value is not None and name not in left_out}
    here, further = split_budgets(arguments.get("budget_ms"))
    budgets: dict[str, Any] = ({} if here is None else {"budget_ms": here}) | (
        {"budgets_ms": further} if further else {}
    )
    name_plugins(named)
    return split_given(named | budgets)
