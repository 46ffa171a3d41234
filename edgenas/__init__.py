"""edgenas: from images and a latency budget to an ONNX model that was measured to meet the budget.

    import edgenas
    result = edgenas.search("photos/", budget_ms=8, image_size=96)
    result.model("cat.jpg").labels

Floors, top to bottom; imports go down only, and folders of one floor do not know each other:

    cli
    edgenas/__init__
    api  testing
    workflows  strategies
    devices  evaluators
    latency  exploration
    cost
    training
    exporters  nn  pretrained
    runtimes  spaces
    system  data
    errors  graph
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgenas.errors import (
    BudgetError,
    CheckpointError,
    DamagedRun,
    DamagedTable,
    DataError,
    EdgeNASError,
    Ended,
    EnvironmentFault,
    ExportError,
    Interrupted,
    MissingOps,
    NoisyMachine,
    OwnCode,
    TableError,
    TooLarge,
    UnknownName,
    UsageError,
)

# Type checkers do not call `__getattr__` below, so they are told here; tests/test_public.py compares both lists.
if TYPE_CHECKING:
    from edgenas import strategies, testing
    from edgenas.api.baseline import baseline
    from edgenas.api.contracts import (
        Builder,
        Choice,
        Config,
        CountCost,
        Data,
        Evaluator,
        LatencyTable,
        Objective,
        Problem,
        Result,
        SearchSpace,
        Strategy,
        Study,
        Trial,
        latency_interval,
        read_table,
        run_search,
    )
    from edgenas.api.devices import adapt, ingest, kit
    from edgenas.api.listing import list
    from edgenas.api.measure import bench, predict, profile
    from edgenas.api.search import search, specialize
    from edgenas.api.trained import confirm, export, ranking, train

    __version__: str

__all__ = [
    "BudgetError",
    "Builder",
    "CheckpointError",
    "Choice",
    "Config",
    "CountCost",
    "DamagedRun",
    "DamagedTable",
    "Data",
    "DataError",
    "EdgeNASError",
    "Ended",
    "EnvironmentFault",
    "Evaluator",
    "ExportError",
    "Interrupted",
    "LatencyTable",
    "MissingOps",
    "NoisyMachine",
    "Objective",
    "OwnCode",
    "Problem",
    "Result",
    "SearchSpace",
    "Strategy",
    "Study",
    "TableError",
    "TooLarge",
    "Trial",
    "UnknownName",
    "UsageError",
    "__version__",
    "adapt",
    "baseline",
    "bench",
    "confirm",
    "export",
    "ingest",
    "kit",
    "latency_interval",
    "list",
    "predict",
    "profile",
    "ranking",
    "read_table",
    "run_search",
    "search",
    "specialize",
    "strategies",
    "testing",
    "train",
]

# Where each name is, which is imported when it is first asked for: `import edgenas` takes no time. Classes come from
# the files that define them and not from `api.contracts`, which imports torch for the sake of a few.
_LATE = {
    **dict.fromkeys(("search", "specialize"), "edgenas.api.search"),
    **dict.fromkeys(("confirm", "ranking", "train", "export"), "edgenas.api.trained"),
    **dict.fromkeys(("profile", "predict", "bench"), "edgenas.api.measure"),
    **dict.fromkeys(("kit", "ingest", "adapt"), "edgenas.api.devices"),
    "list": "edgenas.api.listing",
    "baseline": "edgenas.api.baseline",
    "Builder": "edgenas.graph.graph",
    "Choice": "edgenas.graph.graph",
    "Config": "edgenas.workflows.config",
    "CountCost": "edgenas.cost.counts",
    "Data": "edgenas.data.base",
    "Evaluator": "edgenas.exploration.evaluator",
    "LatencyTable": "edgenas.latency.table",
    "Objective": "edgenas.exploration.objective",
    "Problem": "edgenas.exploration.problem",
    "Result": "edgenas.workflows.result",
    "SearchSpace": "edgenas.spaces.base",
    "Strategy": "edgenas.exploration.strategy",
    "Study": "edgenas.exploration.study",
    "Trial": "edgenas.exploration.study",
    "latency_interval": "edgenas.latency.predictor",
    "read_table": "edgenas.latency.table",
    "run_search": "edgenas.exploration.driver",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    if name in ("strategies", "testing"):
        return importlib.import_module(f"edgenas.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("edgenas")
    raise AttributeError(f"module 'edgenas' has no attribute {name!r}")


# Not `list[str]`: type checkers take `list` for the function of this package.
def __dir__() -> Any:
    return __all__
