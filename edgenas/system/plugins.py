"""Plugins by name: `random` of kind `strategies` is edgenas/strategies/random.py; `package.module` is from outside."""

from __future__ import annotations

import importlib
import importlib.util
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from edgenas.errors import UnknownName

PACKAGE = Path(__file__).parents[1]
KINDS = ("spaces", "strategies", "evaluators", "data", "runtimes")
# Names in tables that were measured before the module moved.
MOVED = {"edgenas.spaces._general": "edgenas.latency.general_space"}
# Files beside the plugins that are no plugins.
PARTS = {
    "spaces": ("base", "sampling"),
    "data": ("base", "from_arrays"),
    "runtimes": ("base", "bench", "host", "reference", "timing"),
}


def names(kind: str) -> list[str]:
    """Return the command-line names of all plugins of a kind."""
    files = (PACKAGE / kind).glob("[!_]*.py")
    return sorted(file.stem.replace("_", "-") for file in files if file.stem not in PARTS.get(kind, ()))


def check(kind: str, name: str) -> None:
    """Raises UnknownName, with the nearest names, unless there is such a plugin; outside names pass unseen."""
    if _is_outside(name):
        return
    known = names(kind)
    if name not in known:
        near = get_close_matches(name, known, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise UnknownName(f"{kind}: no {name!r}; {hint}")


def load(kind: str, name: str) -> ModuleType:
    """Import a plugin's module.

    Raises:
        UnknownName: there is none, or it cannot be imported.
    """
    check(kind, name)
    if _is_outside(name):
        try:
            return importlib.import_module(MOVED.get(name, name))
        except ModuleNotFoundError as error:
            raise UnknownName(f"{kind}: cannot import {name!r} ({error}); is its package installed here?") from error
    return importlib.import_module(f"edgenas.{kind}.{name.replace('-', '_')}")


def evaluator_for(strategy: str) -> str:
    """The evaluator that a strategy asks for: `shared` if it trains weights itself. Raises as `load`."""
    return str(getattr(load("strategies", strategy), "EVALUATOR", "supernet"))


def _is_outside(name: str) -> bool:
    """Whether the name is `package.module`."""
    return "." in name and not name.startswith(".")
