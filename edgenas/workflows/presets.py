"""Presets: systems of the field that are no strategy of their own. What is set beside a preset wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from edgenas.errors import UnknownName
from edgenas.system import plugins


@dataclass(frozen=True)
class Preset:
    """Settings under one name."""

    description: str
    settings: Mapping[str, str]


# Other known systems are a strategy under their own name, with all that it needs.
PRESETS = {
    "mnasnet": Preset(
        "REINFORCE, short training of each architecture, accuracy x (latency / budget)^w (arXiv:1807.11626)",
        {"strategy": "reinforce", "evaluator": "scratch", "reward": "soft"},
    ),
}


# For networks that are cut out of a trained one: resolution and cuts are weighed against each other, option by option.
CUTS: Mapping[str, Any] = {"strategy": "milp", "shape_choices": 8}


def defaults_of(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the defaults that depend on what else is given."""
    return {} if given.get("pretrained") is None else CUTS


def preset_settings(name: str | None) -> Mapping[str, str]:
    """Return the settings of a preset, none for None.

    Raises:
        UnknownName: there is no such preset; the nearest names are given, or the strategy of that name.
    """
    if name is None:
        return {}
    # Most systems of the field are strategies here, so a person may well take one for a preset.
    if name in plugins.names("strategies"):
        raise UnknownName(f"--preset: {name} is a strategy; name it with --strategy {name}")
    if name not in PRESETS:
        near = get_close_matches(str(name), PRESETS, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(PRESETS)}"
        raise UnknownName(f"--preset: no {name!r}; {hint}")
    return PRESETS[name].settings
