"""What a plugin of each kind must have, checked whole when it is loaded, before anything is measured."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from edgenas.errors import UsageError

# What a data set is built with, all by keyword.
DATA_SETTINGS = ("root", "seed", "image_size", "validation_share", "download", "strict", "device")
# Functions of each kind, with what they are called with: by position, by name.
FUNCTIONS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "spaces": {"build": (("shape", "classes"), ())},
    "pretrained": {"build": (("variant",), ("download", "weights")), "variants": ((), ())},
    "strategies": {
        "build": (("priced", "ctx", "options"), ()),
        "ask": (("self", "n"), ()),
        "tell": (("self", "trials"), ()),
        "state_dict": (("self",), ()),
        "load_state_dict": (("self", "state"), ()),
    },
    "evaluators": {"build": (("priced", "ctx"), ())},
    "data": {"build": ((), DATA_SETTINGS)},
    "runtimes": {"open": (("model", "threads"), ()), "host": (("threads",), ()), "version": ((), ())},
}
# What a class of each kind must carry beside its functions.
ATTRIBUTES = {"strategies": ("reward_form", "options", "trains_weights")}
# One plugin of each kind, in words.
ONE = {
    "spaces": "space",
    "pretrained": "source of trained networks",
    "strategies": "strategy",
    "evaluators": "evaluator",
    "data": "data set",
    "runtimes": "runtime",
}


def check_contract(kind: str, plugin: object, name: str) -> None:
    """Check that a plugin has all that its kind must have.

    Args:
        kind: one of `plugins.KINDS`.
        plugin: a module, a class or an object.
        name: of the plugin, for the message.

    Raises:
        UsageError: something is missing, or a function cannot be called as it will be; all of it is named.
    """
    lacking = [attribute for attribute in ATTRIBUTES.get(kind, ()) if not hasattr(plugin, attribute)]
    for function, (positional, keywords) in FUNCTIONS[kind].items():
        found = getattr(plugin, function, None)
        if not callable(found) or getattr(found, "__isabstractmethod__", False):
            lacking.append(
                f"{function}({', '.join((*positional, *keywords))})".replace("(self, ", "(").replace("self", "")
            )
        elif problem := _unfit(found, positional, keywords):
            lacking.append(f"{function} {problem}")
    if lacking:
        raise UsageError(f"{name} is no {ONE[kind]} of edgenas, it lacks: {'; '.join(lacking)}")


def _unfit(function: Callable[..., Any], positional: tuple[str, ...], keywords: tuple[str, ...]) -> str:
    """Return what is wrong with a function's signature; nothing if it can be called so.

    Args:
        function: of a module, a class or an object.
        positional: names of what it gets by position; `self` is one, unless the function is bound.
        keywords: names of what it gets by keyword.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built in: it cannot be looked into
        return ""
    wanted = [p for p in positional if p != "self" or not inspect.ismethod(function)]
    if inspect.ismethod(function) and inspect.isclass(function.__self__):
        wanted = list(positional)
    try:
        signature.bind(*wanted, **dict.fromkeys(keywords))
    except TypeError as error:
        return f"cannot be called with ({', '.join(p for p in (*wanted, *keywords) if p != 'self')}): {error}"
    return ""
