"""Settings as TOML, which reads back as the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from edgenas.workflows.config import Config


def to_toml(config: Config) -> str:
    """Return the effective configuration as TOML; what is None or empty is left out, tables come last."""
    lines, tables = [], []
    for item in fields(config):
        value = getattr(config, item.name)
        # In TOML, what follows a table's heading belongs to the table: so tables come last.
        if isinstance(value, Mapping):
            if value:
                rows = [f"{_toml(name)} = {_toml(entry)}" for name, entry in value.items()]
                tables += ["", f"[{item.name}]", *rows]
        elif value is not None:
            lines.append(f"{item.name} = {_toml(value)}")
    return "\n".join(lines + tables) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = "".join(c if c >= " " and c not in '"\\\x7f' else f"\\u{ord(c):04x}" for c in value)
        return f'"{escaped}"'
    return repr(value)  # the shortest text that reads back as the same number, and TOML takes it
