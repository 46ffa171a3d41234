"""Plugins that a person has named: settings of a command line or of a call in Python, not of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgenas.system import plugins

# Kinds of plugins, by the settings that name one.
KINDS = {
    "data": "data",
    "space": "spaces",
    "pretrained": "pretrained",
    "teacher": "pretrained",
    "strategy": "strategies",
    "evaluator": "evaluators",
    "runtime": "runtimes",
}


def name_plugins(settings: Mapping[str, Any]) -> None:
    """Let the plugins that settings name be loaded, those from outside among them.

    Args:
        settings: by name, as a person has given them; objects are no names.
    """
    for setting, kind in KINDS.items():
        if isinstance(name := settings.get(setting), str):
            plugins.name_own(kind, name)


def is_same(setting: str, before: object, now: object) -> bool:
    """Return whether a setting has the same value; of a file of one's own the place may differ."""
    if setting in KINDS and isinstance(before, str) and isinstance(now, str):
        return plugins.file_name(KINDS[setting], before) == plugins.file_name(KINDS[setting], now)
    return before == now
