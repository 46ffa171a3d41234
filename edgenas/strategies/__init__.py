"""The strategies: a file and a class each; `edgenas.strategies.Evolution` imports it when it is first asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgenas.strategies.darts import Darts
    from edgenas.strategies.enas import Enas
    from edgenas.strategies.es import EvolutionStrategy
    from edgenas.strategies.evolution import Evolution
    from edgenas.strategies.ga import GA
    from edgenas.strategies.gdas import Gdas
    from edgenas.strategies.gep import GeneExpression
    from edgenas.strategies.local import Local
    from edgenas.strategies.milp import Milp
    from edgenas.strategies.oneshot import OneShot
    from edgenas.strategies.predictor import PredictorGuided
    from edgenas.strategies.proxyless import Proxyless
    from edgenas.strategies.random import Random
    from edgenas.strategies.reinforce import Reinforce
    from edgenas.strategies.tunas import Tunas

__all__ = [
    "GA",
    "Darts",
    "Enas",
    "Evolution",
    "EvolutionStrategy",
    "Gdas",
    "GeneExpression",
    "Local",
    "Milp",
    "OneShot",
    "PredictorGuided",
    "Proxyless",
    "Random",
    "Reinforce",
    "Tunas",
]

# Files that are not named as their class is in lower case.
_FILES = {"EvolutionStrategy": "es", "GeneExpression": "gep", "PredictorGuided": "predictor"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_FILES.get(name, name.lower())}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
