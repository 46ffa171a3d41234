"""Frozen dataclasses as JSON and back: what a stage of a run leaves for the next one."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Json = dict[str, Any]  # an object of JSON, where its form is not fixed by a record
Record = TypeVar("Record")


def to_json(record: Any) -> Json:
    """Return the fields of a dataclass, and of those in it, as JSON holds them."""
    return asdict(record)


def parsed(content: str | bytes) -> Any:
    """Return what a text of JSON holds, in UTF-8.

    Raises:
        ValueError: it is none, or one within another so deep that no file of edgenas is.
    """
    try:
        return json.loads(content if isinstance(content, str) else content.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("lists or objects are nested too deep") from error


def parsed_object(content: str | bytes) -> Json:
    """Return the object that a text of JSON holds, in UTF-8.

    Raises:
        ValueError: as `parsed`, or it holds something else.
    """
    found = parsed(content)
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, expected an object")
    return found


def from_json(kind: type[Record], value: Any) -> Record:
    """Return the record that `to_json` described.

    Args:
        kind: a dataclass of numbers, texts, None, other dataclasses, and lists, tuples or mappings of these; or such a
            mapping itself.
        value: what JSON gave.

    Raises:
        ValueError: a field without a default is missing, or one is unknown or of another type; it is named.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Bounds:
    ...     fastest_ms: float
    ...     archs: tuple[str, ...]
    >>> from_json(Bounds, {"fastest_ms": 2, "archs": ["0", "1"]})
    Bounds(fastest_ms=2.0, archs=('0', '1'))
    """
    return cast(Record, _read(kind, value, kind.__name__))


def _read(kind: Any, value: Any, where: str) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _read_one_of(parts, value, where)
    if is_dataclass(kind):
        return _read_record(kind, value, where)
    if origin is Literal:
        return _read_literal(parts, value, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{where}: {value!r} is no mapping")
        return {name: _read(parts[1], item, f"{where}.{name}") for name, item in value.items()}
    if origin is not None and issubclass(origin, Sequence):
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}: {value!r} is no list")
        items = [_read(parts[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if origin is list else tuple(items)
    return _read_scalar(kind, value, where)


def _read_one_of(kinds: Sequence[Any], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    # Of several kinds the first that fits counts; if none does, what the first one says is likeliest to help.
    known = [kind for kind in kinds if kind is not type(None)]
    problems = []
    for kind in known:
        try:
            return _read(kind, value, where)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(problems[0])


def _read_record(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: {value!r} is no record")
    hints = _hints(kind)
    names = [item.name for item in fields(kind)]
    # An earlier version has left out what it did not know of.
    needed = {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}
    wrong = [name for name in (*names, *value) if name not in names or (name in needed and name not in value)]
    if wrong:
        raise ValueError(f"{where}: {', '.join(dict.fromkeys(wrong))} missing or too many")
    return kind(**{name: _read(hints[name], value[name], f"{where}.{name}") for name in names if name in value})


def _read_literal(known: Sequence[Any], value: Any, where: str) -> Any:
    if value not in known:
        raise ValueError(f"{where}: {value!r} is none of {', '.join(map(str, known))}")
    return value


def _read_scalar(kind: Any, value: Any, where: str) -> Any:
    # A whole number may stand for a float. A truth value is an int to Python, and no number here.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError(f"{where}: an integer of {len(str(value))} digits is out of range") from error
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{where}: {value!r} is no {kind.__name__}")
    return value


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)
