"""Tasks and contexts without a run: the toy space of `tests._toys` on digits, by a table of made-up times."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from edgenas.data.base import Data
from edgenas.latency.table import LatencyTable
from edgenas.system.progress import SilentReporter
from edgenas.system.run_folder import RunFolder
from edgenas.testing.toy import noise
from edgenas.workflows.config import make_config
from edgenas.workflows.context import Context
from edgenas.workflows.limits import limits_of
from edgenas.workflows.task import Device, Task
from tests._toys import Shared, all_archs
from tests.latency.tables import table_of

SPACE = Shared()
BUDGET_MS = 0.035  # half of its architectures are within it


@cache
def images() -> Data:
    return noise(SPACE.shape, SPACE.classes)


def table() -> LatencyTable:
    return table_of(SPACE)


def toy_task(**settings: Any) -> Task:
    """A task for a device that is not here, within a budget that leaves some architectures."""
    config = make_config({"budget_ms": 1.0, "space": "tests._toys", **settings})
    device = Device("bench", "bench/onnxruntime-1t-fp32", "onnxruntime", 1, "fp32", is_here=False)
    return Task(config, images(), SPACE, device, "cpu", limits=limits_of(config, device, ()))


_OPEN: dict[Path, RunFolder] = {}


def context(folder: Path, seed: int = 0) -> Context:
    """The run in a folder, in which an earlier context works no more."""
    if folder in _OPEN:
        _OPEN.pop(folder).unlock()
    _OPEN[folder] = RunFolder(folder, resume=True)
    return Context(_OPEN[folder], seed, SilentReporter())


ARCHS = all_archs(SPACE)
