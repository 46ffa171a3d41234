"""Plugins by name: `random` of kind `strategies` is edgenas/strategies/random.py; others are a module or a file.

A plugin keeps a contract, which is checked whole when it is loaded, before anything is measured:

    spaces      a module with `build(shape, classes)`
    strategies  a module with one public class that has `reward_form`, `options`, `trains_weights`, `build(priced, ctx,
                options)`, `ask`, `tell`, `state_dict` and `load_state_dict`
    evaluators  a module with `build(priced, ctx)`
    data        a module with `build(*, root, seed, image_size, validation_share, download, strict, device)`
    pretrained  a module with `build(variant, *, download, weights)` and `variants()`
    runtimes    a module with `open(model, threads)`, `host(threads)` and `version()`
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import shlex
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from edgenas.errors import OwnCode, UnknownName, UsageError
from edgenas.system.contracts import ONE, check_contract

PACKAGE = Path(__file__).parents[1]
OWN = "own"  # the source of trained networks that is a function of the user's
# Folders of plugins, by the names that the command line has for what is in them.
KINDS = ("spaces", "pretrained", "strategies", "evaluators", "data", "runtimes")
# Names in tables that were measured before the module moved.
MOVED = {"edgenas.spaces._general": "edgenas.latency.general_space"}
# Files beside the plugins that are no plugins.
PARTS = {
    "spaces": ("base", "build", "images", "sampling"),
    "pretrained": ("base",),
    "data": ("base", "found", "from_arrays", "report", "view"),
    "runtimes": (
        *("base", "bench", "decide", "gaps", "host", "model_file", "reference", "rounds", "summary", "timing"),
        "waiting",
    ),
}
# Plugins from outside that a person has named in this process; of a file, where it is.
_NAMED: set[tuple[str, str]] = set()
# The flag that names one.
FLAGS = {
    "spaces": "--space",
    "pretrained": "--pretrained",
    "strategies": "--strategy",
    "evaluators": "--evaluator",
    "data": "--data",
    "runtimes": "--runtime",
}


def names(kind: str) -> list[str]:
    """Return the command-line names of all plugins of a kind that come with edgenas."""
    files = (PACKAGE / kind).glob("[!_]*.py")
    return sorted(file.stem.replace("_", "-") for file in files if file.stem not in PARTS.get(kind, ()))


def check(kind: str, name: str) -> None:
    """Check that there may be such a plugin, without importing it.

    Args:
        kind: one of `KINDS`.
        name: as `load` takes it.

    Raises:
        UnknownName: there is none; the nearest names are given.
    """
    known = names(kind)
    if name in known or _is_module(name) or _file(name) is not None:
        return
    if is_path(name):
        raise UnknownName(f"{kind}: no file {name!r}; give the path of a Python file, or one of {', '.join(known)}")
    near = get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}, or a file {name}.py here"
    raise UnknownName(f"{kind}: no {name!r}; {hint}")


def pretrained(name: str) -> tuple[str, str]:
    """Return the source of a trained network, and what the source calls it.

    Args:
        name: `efficientnet-lite0`, `torchvision:resnet18`, or `package.module:function` of one's own.

    Raises:
        UnknownName: it is none of these; the nearest names are given.
    """
    head, colon, variant = name.partition(":")
    known = [source for source in names("pretrained") if source != OWN]
    if head in known:
        return head, variant
    if colon and variant.isidentifier() and all(part.isidentifier() for part in head.split(".")):
        return OWN, name
    near = get_close_matches(head, known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else "`edgenas list pretrained` has them all"
    raise UnknownName(f"--pretrained: no network {name!r}; {hint}, and one of your own is package.module:function")


def name_own(kind: str, name: str) -> None:
    """Let a plugin from outside be loaded from here on: a person has named it, on a command line or in Python.

    Args:
        kind: one of `KINDS`.
        name: as `load` takes it.
    """
    _NAMED.add((kind, _place(name)))


def check_named(kind: str, name: str) -> None:
    """Check that a plugin is one of edgenas, or that a person has named it.

    Tables, results of kits, runs and files of settings name plugins, too. They may come from anywhere, and must not
    choose what code runs here.

    Args:
        kind: one of `KINDS`.
        name: as `load` takes it; of kind `pretrained` also `package.module:function`.

    Raises:
        OwnCode: it is from outside, and nobody has named it.
    """
    if name in names(kind) or (kind, _place(name)) in _NAMED:
        return
    # A trained network is a function, and most functions of edgenas make none.
    if kind != "pretrained" and _is_module(name) and (name in MOVED or name.startswith("edgenas.")):
        return
    words = f"{FLAGS[kind]} {shlex.quote(name)}"
    raise OwnCode(
        f"the {ONE[kind]} {name!r} is not of edgenas, and a file may not choose what code runs; if it is yours, name "
        f"it again: {words}",
        words,
    )


def load(kind: str, name: str) -> Any:
    """Import a plugin and check its contract: a class for `strategies`, a module for all other kinds.

    One from outside must have been named by a person, as `check_named` has it.

    Args:
        kind: one of `KINDS`.
        name: of a plugin of edgenas, a Python file (`./tiny.py`, or `tiny` for `tiny.py` in the working directory), or
            `package.module`.

    Raises:
        UnknownName: there is none, or it cannot be imported.
        OwnCode: it is from outside, and only data have named it.
        UsageError: it does not keep the contract of its kind; what is missing is named.
    """
    check(kind, name)
    check_named(kind, name)
    if name in names(kind):
        module = importlib.import_module(f"edgenas.{kind}.{name.replace('-', '_')}")
    else:
        module = _outside(kind, name)
    plugin = _strategy(module, name) if kind == "strategies" else module
    check_contract(kind, plugin, name)
    return plugin


def file_name(kind: str, name: str) -> str:
    """Return the name that tables and run folders keep: a file's stem, any other name as it is.

    Args:
        kind: one of `KINDS`.
        name: as `load` takes it.
    """
    return name if name in names(kind) or not is_path(name) else Path(name).stem


def _strategy(module: ModuleType, name: str) -> type:
    """Return the one public class of a module that asks and tells."""
    own = [cls for cls in _classes(module) if hasattr(cls, "ask") and hasattr(cls, "tell")]
    # Abstract bases beside it do not count, unless there is nothing else: then `check_contract` says what is missing.
    found = [cls for cls in own if not inspect.isabstract(cls)] or own
    if len(found) != 1:
        there = f"it has {', '.join(cls.__name__ for cls in found)}" if found else "it has none with `ask` and `tell`"
        raise UsageError(f"{name} is no strategy of edgenas: expected one public class in {module.__name__}; {there}")
    return found[0]


def _classes(module: ModuleType) -> Iterator[type]:
    for name, value in vars(module).items():
        if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_"):
            yield value


def _outside(kind: str, name: str) -> ModuleType:
    """Import a file or a module that does not belong to edgenas."""
    file = _file(name)
    try:
        if file is not None:
            return _from_file(file)
        return importlib.import_module(MOVED.get(name, name))
    except ModuleNotFoundError as error:
        if file is None and os.getcwd() not in sys.path:
            # The command `edgenas` does not have it on the path, as `python -m` has; at the end, it hides nothing.
            sys.path.append(os.getcwd())
            importlib.invalidate_caches()
            return _outside(kind, name)
        raise UnknownName(f"{kind}: cannot import {name!r} ({error}); is its package installed here?") from error
    except UnknownName:
        raise
    except Exception as error:  # a foreign file may do anything while it is imported
        what = error if isinstance(error, SyntaxError | ImportError) else f"{type(error).__name__}: {error}"
        raise UnknownName(f"{kind}: cannot import {name!r} ({what}); mend it and try again") from error


def _from_file(file: Path) -> ModuleType:
    """Return the module of a file, under the name of its stem; it is loaded once."""
    if not file.stem.replace("-", "_").isidentifier():  # the stem stands in tables, between blanks
        raise UnknownName(f"{file}: rename the file to letters, digits and dashes")
    loaded = sys.modules.get(file.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(file):
        return loaded
    # To replace a loaded module, perhaps one of Python's own, would break whoever uses it.
    if loaded is not None:
        raise UnknownName(f"{file}: a module {file.stem!r} is loaded already; rename the file")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None  # the name ends with .py
    module = importlib.util.module_from_spec(spec)
    # Known before it runs: dataclasses look up their module while it is executed.
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[file.stem]
        raise
    return module


def _place(name: str) -> str:
    file = _file(name)
    return name if file is None else str(file)


def _file(name: str) -> Path | None:
    """Return the file that a name means: a path, or `<name>.py` in the working directory; None if there is none."""
    if not is_path(name) and not name.isidentifier():
        return None
    path = Path(name).expanduser() if is_path(name) else Path(f"{name}.py")
    return path.resolve() if path.is_file() else None


def is_path(name: str) -> bool:
    """Return whether a name is the path of a plugin's file."""
    return name.endswith(".py") or "/" in name or os.sep in name


def _is_module(name: str) -> bool:
    """Tell whether the name is `package.module`."""
    return not is_path(name) and "." in name and all(part.isidentifier() for part in name.split("."))
