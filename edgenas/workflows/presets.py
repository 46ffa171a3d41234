"""Presets: systems of the field, each a composition of what there is. What is set beside a preset wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from edgenas.errors import UnknownName


@dataclass(frozen=True)
class Preset:
    """Settings under one name."""

    description: str
    settings: Mapping[str, str]


PRESETS = {
    "mnasnet": Preset(
        "REINFORCE, short training of each architecture, accuracy x (latency / budget)^w (arXiv:1807.11626)",
        {"strategy": "reinforce", "evaluator": "scratch", "reward": "soft"},
    ),
    "enas": Preset(
        "a controller and shared weights in turn, accuracy within the budget (arXiv:1802.03268)",
        {"strategy": "enas"},
    ),
    "tunas": Preset(
        "a controller and shared weights in turn, accuracy + beta |latency / budget - 1| (arXiv:2008.06120)",
        {"strategy": "tunas"},
    ),
    "oneshot": Preset(
        "uniform single paths, then a predictor on what the weights give (arXiv:1904.00420)",
        {"strategy": "oneshot"},
    ),
    "darts": Preset(
        "all branches weighted by a softmax, bilevel, with the expected latency (arXiv:1806.09055)",
        {"strategy": "darts"},
    ),
    "gdas": Preset(
        "one branch drawn with Gumbel noise, bilevel, with the expected latency (arXiv:1910.04465)",
        {"strategy": "gdas"},
    ),
    "proxyless": Preset(
        "binary gates, two paths at a time, bilevel, with the expected latency (arXiv:1812.00332)",
        {"strategy": "proxyless"},
    ),
}


# Settings of a search that has no weights to train: trials are cheap, and what exceeds the budget teaches nothing.
ON_TRAINED_WEIGHTS: dict[str, Any] = {
    "strategy": "predictor",
    "trials": 64,
    "evaluator": "supernet",
    "reward": "hard",
}


def preset_settings(name: str | None) -> Mapping[str, str]:
    """The settings of a preset, none of None. Raises UnknownName, with the nearest names, if there is none."""
    if name is None:
        return {}
    if name not in PRESETS:
        near = get_close_matches(str(name), PRESETS, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(PRESETS)}"
        raise UnknownName(f"--preset: no {name!r}; {hint}")
    return PRESETS[name].settings
