"""Values of settings: numbers in a range, words of a list, mappings by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, get_args

from edgenas.errors import UsageError

LARGEST_MS = 60_000.0  # as in latency/table.py: a larger budget is one that no table's latency could exceed
# Digits of other scripts, `2_0`, `nan` and `inf` are numbers to Python's `float`, and not to a person who mistyped one.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def checked(name: str, value: Any, hint: Any, metadata: Mapping[str, Any]) -> Any:
    """Return the value of a setting in the type of its field, within its range.

    Args:
        name: the flag, for messages.
        value: what was given.
        hint: the type of the field.
        metadata: `low` and `high` of a number, `choices` of a text, `read` of a mapping.

    Raises:
        UsageError: it is no such value; the range is named.
    """
    if metadata["read"] is not None:
        return metadata["read"](name, value)
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    kind = kinds[0]
    if value is None and len(get_args(hint)) > 1:
        return None
    if kind in (int, float):
        return checked_number(name, value, kind, metadata["low"], metadata["high"])
    if kind is str:
        try:
            return _word(_text(value), metadata["choices"])
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from error
    if not isinstance(value, kind):
        raise UsageError(f"{name}: {value!r} is not yes or no (true or false in TOML)")
    return value


def checked_number(name: str, value: Any, kind: type[int] | type[float], low: float, high: float) -> float:
    """Return what `number` does; raises UsageError, naming the flag or the keyword, where that raises ValueError."""
    try:
        return number(value, kind, low, high)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


def _word(text: str, choices: tuple[str, ...]) -> str:
    """The text, if it is one of the choices or anything goes. Raises ValueError, naming them, if not."""
    if choices and text not in choices:
        raise ValueError(f"{text!r} is none of {', '.join(choices)}")
    return text


def budgets(name: str, value: Any) -> Mapping[str, float]:
    """Return budgets in ms by device. Raises UsageError, naming the device, for anything else."""
    found = {}
    for device, ms in _mapping(name, value, 'a table of names and ms, for example { "pixel3" = 20 }').items():
        try:
            found[device] = number(ms, float, 1e-3, LARGEST_MS)
        except ValueError as error:
            raise UsageError(f"{name} {f'{device}={ms}'!r}: {error}") from error
    return found


def options(name: str, value: Any) -> Mapping[str, str]:
    """Return options by name. Raises UsageError for anything else."""
    found = _mapping(name, value, 'a table of names and words, for example { guards = "off" }')
    for option, word in found.items():
        if not isinstance(word, str):
            raise UsageError(f"{name} {option}: {word!r} is not a text")
    return found


def _mapping(name: str, value: Any, form: str) -> dict[str, Any]:
    """A mapping by texts that files can hold. Raises UsageError for anything else."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{name}: {value!r} is not {form}")
    try:
        return {_text(key): entry for key, entry in value.items()}
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


def pairs(name: str, texts: Sequence[str], form: str, example: str) -> dict[str, str]:
    """Return what flags `NAME=VALUE` say, by name.

    Args:
        name: the flag, for messages.
        texts: what was given.
        form, example: what is expected, for messages.

    Raises:
        UsageError: one is of another form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, rest = text.rpartition("=")  # the last one: a device's name may hold another
        if not (key and equals):
            raise UsageError(f"{name}: {text!r} is not {form}, for example {example}")
        if key in found:
            raise UsageError(f"{name}: two values for {key}: {found[key]} and {rest}; leave one out")
        found[key] = rest
    return found


def number(value: Any, kind: type[int] | type[float], low: float, high: float) -> float:
    """Return a number, or the text of one, as `kind`.

    Args:
        value: what was given.
        kind: int or float.
        low, high: the range, both ends included.

    Raises:
        ValueError: it is no such number; the range is named.
    """
    wanted = f"expected {'a whole number' if kind is int else 'a number'} from {low:,} to {high:,}"
    parsed = float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
    is_number = isinstance(parsed, Real) and not isinstance(parsed, bool)
    if not is_number or parsed != parsed:  # NaN differs from itself
        raise ValueError(f"{value!r} is not a number; {wanted}")
    if not low <= parsed <= high:
        raise ValueError(f"{value!r} is out of range; {wanted}")
    if kind is int and parsed % 1:
        raise ValueError(f"{value!r} is not whole; {wanted}")
    return kind(parsed)


def _text(value: Any) -> str:
    """Text that a file name and a configuration file can hold. Raises ValueError for anything else."""
    text = str(value) if isinstance(value, Path) else value
    if not isinstance(text, str):
        raise ValueError(f"{value!r} is not a text")
    if not text:
        raise ValueError("the text is empty; leave the setting out instead")
    # A path with such a byte cannot be opened; lone surrogates are how Python holds bytes of a name that are not UTF-8.
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(f"{value!r} holds a zero byte, or is not UTF-8; rename it")
    return text
