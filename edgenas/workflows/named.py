"""Plugins that a person has named: settings of a command line or of a call in Python, not of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from edgenas.system import plugins

if TYPE_CHECKING:
    from edgenas.workflows.config import Config

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


def own_files(config: Config, settings: Iterable[str]) -> dict[str, str]:
    """Return those of the settings that name a plugin in a file of one's own.

    Args:
        config: of a run.
        settings: names of settings.
    """
    named = {name: getattr(config, name) for name in settings if name in KINDS}
    return {name: value for name, value in named.items() if value is not None and plugins.is_path(value)}


def is_same(setting: str, before: object, now: object) -> bool:
    """Return whether a setting has the same value; of a file of one's own the place may differ."""
    if before == now or setting not in KINDS or not (isinstance(before, str) and isinstance(now, str)):
        return before == now
    kind = KINDS[setting]
    come_with_edgenas = {before, now} & set(plugins.names(kind))
    return not come_with_edgenas and plugins.file_name(kind, before) == plugins.file_name(kind, now)
