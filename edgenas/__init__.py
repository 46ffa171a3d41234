"""edgenas: from images and a latency budget to an ONNX model that was measured to meet the budget.

    import edgenas
    result = edgenas.search(budget_ms=20, data="digits")

Layers; imports go down only, and torch starts at `nn`:

    cli  commands  config  presets  api  kits  pipeline  finished  inherited  ranking  run  stages
    driver  workers  export  bench  profiling  report  progress
    problem  strategies  evaluators  pruning
    study  objective  pareto | engine  data | cost | runtimes | child
    nn
    spaces  conditions  sums
    graph  ops  errors  plugins  text  folder
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgenas.errors import (
    BudgetError,
    CheckpointError,
    DataError,
    EdgeNASError,
    Ended,
    EnvironmentFault,
    ExportError,
    Interrupted,
    MissingOps,
    NoisyMachine,
    TableError,
    UnknownName,
    UsageError,
)

if TYPE_CHECKING:
    import os

    from edgenas.workflows.config import Config
    from edgenas.workflows.result import Result

    __version__: str

__all__ = [
    "BudgetError",
    "CheckpointError",
    "Config",
    "DataError",
    "EdgeNASError",
    "Ended",
    "EnvironmentFault",
    "ExportError",
    "Interrupted",
    "MissingOps",
    "NoisyMachine",
    "Result",
    "TableError",
    "UnknownName",
    "UsageError",
    "__version__",
    "search",
    "specialize",
]

_LATE = {"Config": "edgenas.workflows.config", "Result": "edgenas.workflows.result"}


def search(*, progress: bool = False, **settings: Any) -> Result:
    """Find, train, measure and bundle a model. Every setting is a field of `Config`, and a flag of `edgenas search`.

    With `progress`, stderr shows what is under way.

    Raises:
        UsageError: a setting that does not exist, or a value out of its range.
        BudgetError: no network meets the budget.
        EdgeNASError: see errors.py.
    """
    from edgenas.system.progress import make_reporter
    from edgenas.workflows import api
    from edgenas.workflows.config import resolve

    return api.search(resolve(settings), make_reporter(quiet=not progress))


def specialize(run: str | os.PathLike[str], *, progress: bool = False, **settings: Any) -> Result:
    """As `search`, for another budget, device or precision, on the weights that a search has trained into folder `run`.

    Every setting is a flag of `edgenas specialize`; the others are as they were in that run, which is only read.

    Raises:
        UsageError: there is no such run, or it shares no weights; a setting that cannot differ from it.
        BudgetError: no network that the weights were trained on meets the budget.
        EdgeNASError: see errors.py.
    """
    from pathlib import Path

    from edgenas.system.progress import make_reporter
    from edgenas.workflows import api, inherited

    source = Path(run)
    return api.specialize(inherited.settings(source, settings), source, make_reporter(quiet=not progress))


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("edgenas")
    raise AttributeError(f"module 'edgenas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
